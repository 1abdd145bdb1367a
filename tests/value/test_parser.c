// SPDX-License-Identifier: Apache-2.0
#include "value/parser.h"

#include "base/text.h"
#include "check.h"

static bool is_type(void *data, const char *name)
{
	return strcmp(name, "T") == 0 || strcmp(name, "ns::U") == 0 || strcmp(name, "V<int>") == 0;
}

static const struct parser_names names = {.is_type = is_type};

static void put_type(struct text *out, const struct type_spelling *type)
{
	text_append(out, type->base);
	for (const struct declarator *d = type->declarators; d; d = d->next) {
		if (d->kind == DECLARATOR_ARRAY)
			text_printf(out, "[%llu]", (unsigned long long)d->count);
		else
			text_append(out, d->kind == DECLARATOR_POINTER	   ? "*"
					 : d->kind == DECLARATOR_REFERENCE ? "&"
									   : "()");
	}
}

static void put_op(struct text *out, uint32_t op)
{
	for (; op; op >>= 8)
		text_append_char(out, (char)op);
}

/** The tree with every node in parentheses. */
static void put(struct text *out, const struct node *n)
{
	if (!n)
		return;
	text_append_char(out, '(');
	switch (n->kind) {
	case NODE_INTEGER:
	case NODE_CHARACTER:
		text_printf(out, "%llu", (unsigned long long)n->token.integer);
		break;
	case NODE_FLOAT:
		text_printf(out, "%Lg", n->token.real);
		break;
	case NODE_STRING:
		text_printf(out, "\"%.*s\"", (int)n->token.size, n->token.start);
		break;
	case NODE_NAME:
	case NODE_REGISTER:
		text_printf(out, "%s%s%s%s", n->kind == NODE_REGISTER ? "$" : "",
			    n->file ? n->file : "", n->file ? "!" : "", n->name);
		break;
	case NODE_MEMBER:
	case NODE_ARROW:
		put(out, n->left);
		text_printf(out, "%s%s", n->kind == NODE_MEMBER ? "." : "->", n->name);
		break;
	case NODE_CONDITIONAL:
		put(out, n->third);
		text_append_char(out, '?');
		put(out, n->left);
		text_append_char(out, ':');
		put(out, n->right);
		break;
	default:
		if (n->kind == NODE_SIZEOF)
			text_append(out, "sizeof ");
		if (n->type)
			put_type(out, n->type);
		if (n->kind == NODE_UNARY)
			put_op(out, n->op);
		put(out, n->left);
		if (n->kind == NODE_BINARY)
			put_op(out, n->op);
		if (n->kind == NODE_INDEX)
			text_append_char(out, '@');
		put(out, n->right);
	}
	text_append_char(out, ')');
}

static char shape[4096];

static const char *parse(const char *text)
{
	struct arena arena = {0};
	struct text out cleanup_text = {0};
	struct node *tree = NULL;
	struct strobe_error *error = parse_expression(&arena, &names, text, &tree);
	if (error)
		text_printf(&out, "%u: %s", strobe_error_column(error),
			    strobe_error_message(error));
	else
		put(&out, tree);
	snprintf(shape, sizeof(shape), "%s", text_string(&out));
	strobe_error_free(error);
	arena_fini(&arena);
	return shape;
}

static void precedence(void)
{
	CHECK_STRING(parse("a+b*c"), "((a)+((b)*(c)))");
	CHECK_STRING(parse("a-b-c"), "(((a)-(b))-(c))");
	CHECK_STRING(parse("a|b&c==d<<1"), "((a)|((b)&((c)==((d)<<(1)))))");
	CHECK_STRING(parse("a||b&&c"), "((a)||((b)&&(c)))");
	CHECK_STRING(parse("p[0]@n+1"), "(((p)@(0))@((n)+(1)))");
	CHECK_STRING(parse("a?b:c?d:e"), "((a)?(b):((c)?(d):(e)))");
	CHECK_STRING(parse("a,b"), "((a),(b))");
	CHECK_STRING(parse("-a.b->c[2]"), "(-((((a).b)->c)@(2)))");
	CHECK_STRING(parse("*&a"), "(*(&(a)))");
}

static void casts(void)
{
	CHECK_STRING(parse("(T)x"), "(T(x))");
	CHECK_STRING(parse("(x)-1"), "((x)-(1))");
	CHECK_STRING(parse("(T)-1"), "(T(-(1)))");
	CHECK_STRING(parse("(struct s *)p->q"), "(struct s*((p)->q))");
	CHECK_STRING(parse("(unsigned long int const*)p"), "(unsigned long*(p))");
	CHECK_STRING(parse("*(int (*)[4])m"), "(*(int[4]*(m)))");
	CHECK_STRING(parse("(int (*)(char, T *))f"), "(int()*(f))");
	CHECK_STRING(parse("(ns::U&)x"), "(ns::U&(x))");
	CHECK_STRING(parse("(V<int>*)x"), "(V<int>*(x))");
	CHECK_STRING(parse("sizeof(T)"), "(sizeof T)");
	CHECK_STRING(parse("sizeof(x)+1"), "((sizeof (x))+(1))");
	CHECK_STRING(parse("{T}p"), "(T(p))");
	CHECK_STRING(parse("a<b"), "((a)<(b))");
}

static void names_of_all_kinds(void)
{
	CHECK_STRING(parse("'a b.c'::x"), "(a b.c!x)");
	CHECK_STRING(parse("'a'::x"), "(a!x)");
	CHECK_STRING(parse("::x"), "(::x)");
	CHECK_STRING(parse("ns::f::x"), "(ns::f::x)");
	CHECK_STRING(parse("$rip+1"), "(($rip)+(1))");
	CHECK_STRING(parse("'a'"), "(97)");
	CHECK_STRING(parse("'\\n'"), "(10)");
	CHECK_STRING(parse("0x1fUL"), "(31)");
	CHECK_STRING(parse("017"), "(15)");
	CHECK_STRING(parse("1.5e3"), "(1500)");
	CHECK_STRING(parse("\"a\\\"b\""), "(\"a\\\"b\")");
}

static void errors_point_at_the_column(void)
{
	CHECK_STRING(parse("1+"), "3: an expression expected at the end");
	CHECK_STRING(parse("a b"), "3: an operator expected at \"b\"");
	CHECK_STRING(parse("a = 1"), "3: \"=\" would change the program");
	CHECK_STRING(parse("a += 1"), "3: \"+=\" would change the program");
	CHECK_STRING(parse("a++"), "2: \"++\" would change the program");
	CHECK_STRING(parse("f(1)"), "2: a function call would run code of the program");
	CHECK_STRING(parse("(a"), "3: \")\" expected at the end");
	CHECK_STRING(parse("\"abc"), "1: missing closing \"");
	CHECK_STRING(parse("1 # 2"), "3: unexpected character '#'");
	CHECK_STRING(parse("12x"), "1: invalid number \"12x\"");
	CHECK_STRING(parse("99999999999999999999"), "1: number is too large");
	CHECK_STRING(parse(""), "1: an expression expected at the end");
}

static void nesting_has_a_limit(void)
{
	static char text[70001];
	memset(text, '(', 3000);
	text[3000] = '\0';
	CHECK(strstr(parse(text), "nested deeper than 200 levels"));
	memset(text, 0, sizeof(text));
	for (size_t i = 0; i < 10000; i++)
		memcpy(text + 2 * i, "1+", 3);
	CHECK(strstr(parse(text), "more than 2000 operators"));
	memset(text, ' ', 70000);
	CHECK(strstr(parse(text), "longer than 65536 bytes"));
	memset(text, '*', 5000);
	text[5000] = '\0';
	CHECK(strstr(parse(text), "nested deeper"));
}

CHECK_MAIN({"operators bind as in C", precedence},
	   {"types in parentheses are casts, the rest is not", casts},
	   {"names, registers and literals", names_of_all_kinds},
	   {"errors point at the column", errors_point_at_the_column},
	   {"nesting has a limit", nesting_has_a_limit})
