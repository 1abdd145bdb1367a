// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/compile.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "symbols/cfi.h"
#include "symbols/variable.h"
#include "value/parser.h"

/** One being compiled. */
struct compiler {
	struct strobe_symbols *symbols;
	const struct code_position *position;
	const struct code_scope *scope;
	uint64_t pc;
	ARRAY(struct program_step) steps;
	unsigned depth, deepest;
	const char *why; // set: it cannot be said
};
/** What the code so far leaves on the stack. */
struct operand {
	struct type *type; // stripped
	bool in_memory;	   // it is the address of a value of that type
};

/** Where a variable is, whatever the registers hold. */
struct place {
	enum { PLACE_IN_REGISTER, PLACE_AT_REGISTER, PLACE_AT, PLACE_IS } kind;
	unsigned reg;
	uint64_t value; // offset, address or the value itself
};

static bool refuse(struct compiler *compiler, const char *why)
{
	if (!compiler->why)
		compiler->why = why;
	return false;
}

static bool put(struct compiler *compiler, uint8_t op, uint8_t a, uint8_t b, uint64_t value,
		int effect)
{
	struct program_step step = {.op = op, .a = a, .b = b, .value = value};
	if (compiler->why)
		return false;
	if (compiler->steps.count >= PROGRAM_OPS_MAX || !array_push(&compiler->steps, step))
		return refuse(compiler, "too long");
	compiler->depth = (unsigned)((int)compiler->depth + effect);
	if (compiler->depth > compiler->deepest)
		compiler->deepest = compiler->depth;
	return compiler->depth <= PROGRAM_STACK_MAX || refuse(compiler, "too deep");
}

// Places: the location is asked for with two sets of registers, and must follow one of them, or none.

struct pretended {
	struct compiler *compiler;
	struct expression_context context;
	uint64_t seed;
};

static uint64_t pretend(const struct pretended *pretended, unsigned number)
{
	return (pretended->seed + number) << 40;
}

static bool get_register(void *data, unsigned number, void *buffer, size_t *size, uint64_t *address)
{
	uint64_t value = pretend(data, number);
	if (number > 16 || *size < sizeof(value))
		return false;
	memcpy(buffer, &value, sizeof(value));
	*size = sizeof(value);
	*address = 0;
	return true;
}

static bool get_cfa(void *data, uint64_t *ret)
{
	struct pretended *pretended = data;
	const struct cfi_row *row;
	if (cfi_row_at(pretended->compiler->symbols, pretended->compiler->pc, &row) != CFI_FOUND ||
	    row->cfa_is_expression)
		return false;
	*ret = pretend(pretended, row->cfa_register) + (uint64_t)row->cfa_offset;
	return true;
}

static bool get_frame_base(void *data, uint64_t *ret)
{
	struct pretended *pretended = data;
	const struct code_position *position = pretended->compiler->position;
	struct expression_context context = pretended->context;
	const struct code_scope *scope = &position->scopes[position->scope_count - 1];
	context.get_frame_base = NULL;
	context.unit = scope->unit;
	return scope_frame_base(scope, &context, ret);
}

/** The location with one set; false if it needs more than registers. */
static bool pretend_location(struct compiler *compiler, const struct variable *variable,
			     uint64_t seed, struct location_piece *ret)
{
	struct pretended pretended = {.compiler = compiler, .seed = seed};
	struct location location;
	uint64_t bias = compiler->position->module->module->bias;
	pretended.context = (struct expression_context){
		.data = &pretended,
		.symbols = compiler->symbols,
		.unit = variable->unit,
		.bias = bias,
		.pc = compiler->pc - bias,
		.get_register = get_register,
		.get_cfa = get_cfa,
		.get_frame_base = get_frame_base,
	};
	variable_locate(variable, &pretended.context, &location);
	*ret = location.pieces[0];
	bool good = location.piece_count == 1 &&
		    (ret->kind == LOCATION_MEMORY || ret->kind == LOCATION_REGISTER ||
		     (ret->kind == LOCATION_VALUE && !ret->data));
	location_fini(&location);
	return good && ret->offset_bits == 0;
}

static bool find_place(struct compiler *compiler, const struct variable *variable,
		       struct place *ret)
{
	enum { FIRST = 100, SECOND = 300 };
	struct location_piece one, two;
	uint64_t first, second;
	if (!pretend_location(compiler, variable, FIRST, &one) ||
	    !pretend_location(compiler, variable, SECOND, &two) || one.kind != two.kind)
		return refuse(compiler, "a variable that is not in one place there");
	if (one.kind == LOCATION_REGISTER) {
		*ret = (struct place){.kind = PLACE_IN_REGISTER, .reg = one.reg};
		return (one.reg <= 16 && one.reg == two.reg) ||
		       refuse(compiler, "a variable in a register of vectors");
	}
	first = one.address;
	second = two.address;
	if (one.kind == LOCATION_VALUE) {
		memcpy(&first, one.bytes, 8);
		memcpy(&second, two.bytes, 8);
		*ret = (struct place){.kind = PLACE_IS, .value = first};
		return first == second || refuse(compiler, "a variable that is computed there");
	}
	*ret = (struct place){.kind = PLACE_AT, .value = first};
	if (first == second)
		return true;
	for (unsigned reg = 0; reg <= 16; reg++) {
		uint64_t offset = first - ((uint64_t)(FIRST + reg) << 40);
		if (second - ((uint64_t)(SECOND + reg) << 40) == offset &&
		    offset + (UINT64_C(1) << 31) < UINT64_C(1) << 32) {
			*ret = (struct place){
				.kind = PLACE_AT_REGISTER, .reg = reg, .value = offset};
			return true;
		}
	}
	return refuse(compiler, "a variable whose place is computed");
}

// Names.

struct search {
	const char *name;
	struct variable found;
	bool any;
};

static bool see_variable(void *context, const struct variable *variable)
{
	struct search *search = context;
	if (!variable->name || strcmp(variable->name, search->name) != 0)
		return true;
	search->found = *variable;
	search->any = true;
	return false;
}

static bool name(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	struct search search = {.name = node->name};
	struct place place;
	if (node->file || strstr(node->name, "::"))
		return refuse(compiler, "a name that is qualified");
	uint64_t lookup = compiler->pc - compiler->position->module->module->bias;
	scope_variables(compiler->scope, lookup, see_variable, &search);
	if (!search.any)
		return refuse(compiler, "a name that is no local variable");
	if (!search.found.type || !find_place(compiler, &search.found, &place))
		return refuse(compiler, "a variable without a type");
	ret->type = type_strip(compiler->symbols, search.found.type);
	ret->in_memory = place.kind == PLACE_AT || place.kind == PLACE_AT_REGISTER;
	if (place.kind == PLACE_AT || place.kind == PLACE_IS)
		return put(compiler, OP_CONST, 0, 0, place.value, 1);
	put(compiler, OP_REGISTER, (uint8_t)place.reg, 0, 0, 1);
	if (place.kind == PLACE_AT_REGISTER && place.value) {
		put(compiler, OP_CONST, 0, 0, place.value, 1);
		put(compiler, OP_ADD, 0, 0, 0, -1);
	}
	return !compiler->why;
}

// Values.

static bool is_integer(const struct type *type)
{
	return (type->kind == TYPE_INTEGER || type->kind == TYPE_CHARACTER ||
		type->kind == TYPE_BOOLEAN || type->kind == TYPE_ENUM) &&
	       (type->size == 1 || type->size == 2 || type->size == 4 || type->size == 8);
}

static bool is_pointer(const struct type *type)
{
	return type->kind == TYPE_POINTER && type->size == 8;
}

/** The value in place of its address; arrays become pointers to their first element. */
static bool load(struct compiler *compiler, struct operand *operand)
{
	struct type *type = operand->type;
	if (operand->in_memory && type->kind == TYPE_ARRAY && type->target) {
		operand->type = type_pointer_to(compiler->symbols, type->target);
		operand->in_memory = false;
		return operand->type || refuse(compiler, "memory is short");
	}
	if (!is_integer(type) && !is_pointer(type))
		return refuse(compiler, "a value that is no integer and no pointer");
	bool is_signed = is_integer(type) && type->is_signed;
	if (operand->in_memory)
		put(compiler, OP_LOAD, (uint8_t)type->size, is_signed, 0, 0);
	else if (type->size < 8)
		put(compiler, OP_EXTEND, (uint8_t)type->size, is_signed, 0, 0);
	operand->in_memory = false;
	return !compiler->why;
}

static bool compile(struct compiler *compiler, const struct node *node, struct operand *ret);

static bool value(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	return compile(compiler, node, ret) && load(compiler, ret);
}

static struct type *builtin(struct compiler *compiler, bool wide, bool is_signed)
{
	return type_builtin(compiler->symbols, wide	   ? (is_signed ? "long" : "unsigned long")
					       : is_signed ? "int"
							   : "unsigned int");
}

/** What C makes of two integers: int, unsigned, long or unsigned long. */
static struct type *common_type(struct compiler *compiler, const struct type *a,
				const struct type *b)
{
	bool wide = a->size == 8 || b->size == 8;
	uint64_t size = wide ? 8 : 4;
	bool is_unsigned = (a->size == size && !a->is_signed) || (b->size == size && !b->is_signed);
	return builtin(compiler, wide, !is_unsigned);
}

/** After arithmetic in 64 bits: what is left of it in the type. */
static bool settle(struct compiler *compiler, const struct type *type)
{
	return type->size == 8 ||
	       put(compiler, OP_EXTEND, (uint8_t)type->size, type->is_signed, 0, 0);
}

static bool element_size(struct compiler *compiler, struct type *pointer, uint64_t *ret)
{
	return (pointer->target && type_size(compiler->symbols, pointer->target, ret) && *ret) ||
	       refuse(compiler, "a pointer to what has no size");
}

/** pointer + integer, both on the stack; the integer is on top. */
static bool advance(struct compiler *compiler, struct type *pointer, bool back)
{
	uint64_t size;
	if (!element_size(compiler, pointer, &size))
		return false;
	if (size > 1) {
		put(compiler, OP_CONST, 0, 0, size, 1);
		put(compiler, OP_MUL, 0, 0, 0, -1);
	}
	return put(compiler, back ? OP_SUB : OP_ADD, 0, 0, 0, -1);
}

/** One of C's operators, by its punctuator. */
static uint8_t arithmetic_op(uint32_t op)
{
	switch (op) {
	case '+':
		return OP_ADD;
	case '-':
		return OP_SUB;
	case '*':
		return OP_MUL;
	case '/':
		return OP_DIV;
	case '%':
		return OP_MOD;
	case '&':
		return OP_AND;
	case '|':
		return OP_OR;
	case '^':
		return OP_XOR;
	case PUNCTUATOR('<', '<', 0):
		return OP_SHL;
	case PUNCTUATOR('>', '>', 0):
		return OP_SHR;
	case PUNCTUATOR('=', '=', 0):
		return OP_EQ;
	case PUNCTUATOR('!', '=', 0):
		return OP_NE;
	case '<':
		return OP_LT;
	case PUNCTUATOR('<', '=', 0):
		return OP_LE;
	case '>':
		return OP_GT;
	case PUNCTUATOR('>', '=', 0):
		return OP_GE;
	default:
		return OP_COUNT;
	}
}

static bool truth(struct compiler *compiler, const struct node *node)
{
	struct operand operand;
	return value(compiler, node, &operand) && put(compiler, OP_IS_ZERO, 0, 0, 0, 0) &&
	       put(compiler, OP_IS_ZERO, 0, 0, 0, 0);
}

/** && and ||: the right side only where the left does not decide. */
static bool logic(struct compiler *compiler, const struct node *node, bool both,
		  struct operand *ret)
{
	if (!truth(compiler, node->left))
		return false;
	if (!both)
		put(compiler, OP_IS_ZERO, 0, 0, 0, 0);
	size_t decided = compiler->steps.count;
	put(compiler, OP_JUMP_ZERO, 0, 0, 0, -1);
	if (!truth(compiler, node->right))
		return false;
	size_t end = compiler->steps.count;
	put(compiler, OP_JUMP, 0, 0, 0, -1); // the other way comes to the same depth
	if (compiler->why)
		return false;
	compiler->steps.items[decided].value = compiler->steps.count - decided - 1;
	put(compiler, OP_CONST, 0, 0, !both, 1);
	if (compiler->why)
		return false;
	compiler->steps.items[end].value = compiler->steps.count - end - 1;
	*ret = (struct operand){.type = builtin(compiler, false, true)};
	return ret->type != NULL;
}

static bool binary(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	struct operand left, right;
	uint8_t op = arithmetic_op(node->op);
	if (node->op == PUNCTUATOR('&', '&', 0) || node->op == PUNCTUATOR('|', '|', 0))
		return logic(compiler, node, node->op == PUNCTUATOR('&', '&', 0), ret);
	if (op == OP_COUNT)
		return refuse(compiler, "an operator that it does not know");
	if (!value(compiler, node->left, &left) || !value(compiler, node->right, &right))
		return false;
	bool compares = op >= OP_EQ && op <= OP_GE;
	if (is_pointer(left.type) && is_integer(right.type) && (op == OP_ADD || op == OP_SUB)) {
		*ret = (struct operand){.type = left.type};
		return advance(compiler, left.type, op == OP_SUB);
	}
	bool pointers = is_pointer(left.type) || is_pointer(right.type);
	if (pointers && !compares)
		return refuse(compiler, "arithmetic of pointers");
	struct type *type = pointers ? builtin(compiler, true, false)
				     : common_type(compiler, left.type, right.type);
	if (op == OP_SHL || op == OP_SHR) // the left side's alone, and never more than its bits
		type = common_type(compiler, left.type, builtin(compiler, false, true));
	if (!type)
		return refuse(compiler, "memory is short");
	if ((op == OP_SHL || op == OP_SHR) && node->right->kind != NODE_INTEGER)
		return refuse(compiler, "a shift by what is not known");
	// Where int meets unsigned, it becomes unsigned before it is compared.
	if (type->size == 4 && !type->is_signed &&
	    (left.type->is_signed || right.type->is_signed)) {
		put(compiler, OP_EXTEND, 4, 0, 0, 0);
		put(compiler, OP_SWAP, 0, 0, 0, 0);
		put(compiler, OP_EXTEND, 4, 0, 0, 0);
		put(compiler, OP_SWAP, 0, 0, 0, 0);
	}
	put(compiler, op, 0, type->is_signed, 0, -1);
	ret->in_memory = false;
	ret->type = compares ? builtin(compiler, false, true) : type;
	return ret->type && (compares || settle(compiler, type));
}

static bool unary(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	if (node->op == '&') {
		if (!compile(compiler, node->left, ret) || !ret->in_memory)
			return refuse(compiler, "the address of what is in no memory");
		*ret = (struct operand){.type = type_pointer_to(compiler->symbols, ret->type)};
		return ret->type != NULL;
	}
	if (!value(compiler, node->left, ret))
		return false;
	if (node->op == '*') {
		if (!is_pointer(ret->type) || !ret->type->target)
			return refuse(compiler, "what a pointer to nothing known points to");
		*ret = (struct operand){type_strip(compiler->symbols, ret->type->target), true};
		return true;
	}
	if (node->op == '!') {
		*ret = (struct operand){.type = builtin(compiler, false, true)};
		return ret->type && put(compiler, OP_IS_ZERO, 0, 0, 0, 0);
	}
	if (!is_integer(ret->type))
		return refuse(compiler, "arithmetic of a pointer");
	ret->type = common_type(compiler, ret->type, builtin(compiler, false, true));
	if (node->op == '-')
		put(compiler, OP_NEG, 0, 0, 0, 0);
	else if (node->op == '~')
		put(compiler, OP_NOT, 0, 0, 0, 0);
	else if (node->op != '+')
		return refuse(compiler, "an operator that it does not know");
	return ret->type && settle(compiler, ret->type);
}

/** The member called `name`, also in bases and members without a name. */
static bool find_member(struct compiler *compiler, struct type *type, const char *name,
			struct type **ret, uint64_t *offset, unsigned depth)
{
	for (size_t i = 0; i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		if (member->static_member || member->virtual_base || !member->type)
			continue;
		uint64_t inner = *offset + member->offset_bits / 8;
		struct type *stripped = type_strip(compiler->symbols, member->type);
		if (member->name && strcmp(member->name, name) == 0 && !member->base) {
			if (member->bit_size)
				return refuse(compiler, "a bit-field");
			*ret = stripped;
			*offset = inner;
			return true;
		}
		if ((member->base || !member->name || !*member->name) && depth < 8 &&
		    find_member(compiler, stripped, name, ret, &inner, depth + 1)) {
			*offset = inner;
			return true;
		}
	}
	return false;
}

static bool member(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	uint64_t offset = 0;
	struct type *type = NULL;
	if (node->kind == NODE_ARROW) {
		if (!value(compiler, node->left, ret) || !is_pointer(ret->type) ||
		    !ret->type->target)
			return refuse(compiler, "a member of what is no pointer");
		*ret = (struct operand){type_strip(compiler->symbols, ret->type->target), true};
	} else if (!compile(compiler, node->left, ret)) {
		return false;
	}
	if (ret->type->kind == TYPE_REFERENCE && ret->type->target) { // what it refers to
		put(compiler, OP_LOAD, 8, 0, 0, 0);
		ret->type = type_strip(compiler->symbols, ret->type->target);
	}
	if (!ret->in_memory)
		return refuse(compiler, "a structure that is in no memory");
	if (!find_member(compiler, ret->type, node->name, &type, &offset, 0))
		return refuse(compiler, "a member that there is not");
	ret->type = type;
	if (offset) {
		put(compiler, OP_CONST, 0, 0, offset, 1);
		put(compiler, OP_ADD, 0, 0, 0, -1);
	}
	return !compiler->why;
}

static bool element(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	struct operand index;
	if (!value(compiler, node->left, ret) || !value(compiler, node->right, &index))
		return false;
	if (!is_pointer(ret->type) || !is_integer(index.type) ||
	    !advance(compiler, ret->type, false))
		return refuse(compiler, "an element of what is no array");
	*ret = (struct operand){type_strip(compiler->symbols, ret->type->target), true};
	return true;
}

static bool compile(struct compiler *compiler, const struct node *node, struct operand *ret)
{
	const struct token *token = &node->token;
	*ret = (struct operand){0};
	switch (compiler->why ? NODE_TYPE : node->kind) {
	case NODE_INTEGER: {
		bool wide =
			token->longs ||
			token->integer > (token->is_unsigned || token->is_octal_or_hex ? UINT32_MAX
										       : INT32_MAX);
		bool is_signed = !token->is_unsigned &&
				 !(token->is_octal_or_hex && !wide && token->integer > INT32_MAX);
		ret->type = builtin(compiler, wide, is_signed);
		return ret->type && put(compiler, OP_CONST, 0, 0, token->integer, 1);
	}
	case NODE_CHARACTER:
		ret->type = builtin(compiler, false, true);
		return ret->type && !token->prefix &&
		       put(compiler, OP_CONST, 0, 0, (uint64_t)(int64_t)(signed char)token->integer,
			   1);
	case NODE_NAME:
		return name(compiler, node, ret);
	case NODE_UNARY:
		return unary(compiler, node, ret);
	case NODE_BINARY:
		return binary(compiler, node, ret);
	case NODE_MEMBER:
	case NODE_ARROW:
		return member(compiler, node, ret);
	case NODE_INDEX:
		return element(compiler, node, ret);
	default:
		return refuse(compiler, "an expression that it does not know");
	}
}

static bool is_no_type(void *data, const char *spelled)
{
	(void)data;
	(void)spelled;
	return false;
}

/** The scope that expressions are meant in: as native_scope_focus() has it. */
static const struct code_scope *find_scope(const struct code_position *position, uint32_t line)
{
	for (size_t i = 0; line && i < position->scope_count; i++)
		if (position->scopes[i].line == line)
			return &position->scopes[i];
	return &position->scopes[line ? 0 : position->scope_count - 1];
}

static struct probe_program *finish(struct compiler *compiler)
{
	size_t count = compiler->steps.count;
	struct probe_program *program =
		calloc(1, sizeof(*program) + count * sizeof(program->steps[0]));
	if (!program) {
		refuse(compiler, "memory is short");
		return NULL;
	}
	program->count = (uint32_t)count;
	program->stack = compiler->deepest;
	memcpy(program->steps, compiler->steps.items, count * sizeof(program->steps[0]));
	const char *why;
	if (program_check(program, &why))
		return program;
	refuse(compiler, why);
	free(program);
	return NULL;
}

struct probe_program *compile_condition(struct strobe_symbols *symbols, const char *condition,
					uint64_t pc, uint32_t line, const char **why)
{
	struct compiler compiler = {
		.symbols = symbols, .pc = pc, .position = code_position_at(symbols, pc)};
	struct parser_names names = {.is_type = is_no_type, .is_instance = is_no_type};
	struct arena arena = {0};
	struct node *node = NULL;
	struct probe_program *program = NULL;
	struct operand operand;
	if (!compiler.position || !compiler.position->module || !compiler.position->scope_count) {
		*why = "no debug information there";
		return NULL;
	}
	compiler.scope = find_scope(compiler.position, line);
	struct strobe_error *error = parse_expression(&arena, &names, condition, &node);
	if (error)
		refuse(&compiler, "an expression that it does not know");
	strobe_error_free(error);
	if (!error && value(&compiler, node, &operand) && put(&compiler, OP_END, 0, 0, 0, 0))
		program = finish(&compiler);
	*why = compiler.why ? compiler.why : "memory is short";
	array_fini(&compiler.steps);
	arena_fini(&arena);
	return program;
}
