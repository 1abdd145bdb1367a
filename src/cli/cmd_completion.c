// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <stdio.h>
#include <string.h>

#include "command.h"

// Verbs of two words complete as two words.
static size_t first_word(const struct verb *verb)
{
	return strcspn(verb->name, " ");
}

// True for the first verb that has this first word.
static bool is_first(size_t index)
{
	size_t size = first_word(verbs[index]);
	for (size_t i = 0; i < index; i++)
		if (first_word(verbs[i]) == size &&
		    memcmp(verbs[i]->name, verbs[index]->name, size) == 0)
			return false;
	return true;
}

// True for the first verb of two words that has this first word: "held" is a verb by itself, too.
static bool is_first_of_group(size_t index)
{
	size_t size = first_word(verbs[index]);
	if (!verbs[index]->name[size])
		return false;
	for (size_t i = 0; i < index; i++)
		if (first_word(verbs[i]) == size && verbs[i]->name[size] &&
		    memcmp(verbs[i]->name, verbs[index]->name, size) == 0)
			return false;
	return true;
}

static void put_verb_words(const char *between)
{
	for (size_t i = 0; verbs[i]; i++)
		if (is_first(i))
			printf("%s%.*s", i ? between : "", (int)first_word(verbs[i]),
			       verbs[i]->name);
}

static void put_second_words(const char *group, size_t size)
{
	for (size_t i = 0; verbs[i]; i++)
		if (first_word(verbs[i]) == size && memcmp(verbs[i]->name, group, size) == 0 &&
		    verbs[i]->name[size])
			printf(" %s", verbs[i]->name + size + 1);
}

static void put_choices(const char *choices)
{
	for (; *choices; choices++)
		putchar(*choices == '|' ? ' ' : *choices);
}

static bool takes_file(const struct option *option)
{
	return option->argument &&
	       (strstr(option->argument, "DIR") || strcmp(option->argument, "FILE") == 0);
}

static void bash_verb(const struct verb *verb)
{
	const struct option *option;
	printf("\t'%s')\n\t\tcase $previous in\n", verb->name);
	for (size_t i = 0; (option = verb_option(verb, i)); i++) {
		if (!option->argument)
			continue;
		printf("\t\t--%s) ", option->name);
		if (option->choices) {
			fputs("COMPREPLY=($(compgen -W '", stdout);
			put_choices(option->choices);
			puts("' -- \"$current\")); return ;;");
		} else {
			printf("%sreturn ;;\n",
			       takes_file(option) ? "COMPREPLY=($(compgen -f -- \"$current\")); "
						  : "");
		}
	}
	fputs("\t\tesac\n\t\twords='", stdout);
	for (size_t i = 0; (option = verb_option(verb, i)); i++)
		printf("%s--%s", i ? " " : "", option->name);
	fputs("' ;;\n", stdout);
}

static void bash_completion(void)
{
	fputs("# bash completion of strobe; made by: strobe completion bash\n"
	      "_strobe()\n{\n"
	      "\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal verb=${COMP_WORDS[1]} words=\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W '",
	      stdout);
	put_verb_words(" ");
	fputs("' -- \"$current\"))\n\t\treturn\n\tfi\n", stdout);
	for (size_t i = 0; verbs[i]; i++) {
		size_t size = first_word(verbs[i]);
		if (!is_first_of_group(i))
			continue;
		// The second word comes behind the target, or at once.
		int at = verbs[i]->target_first ? 3 : 2;
		printf("\tif [ \"$verb\" = %.*s ]; then\n"
		       "\t\tif [[ $COMP_CWORD -eq %d && $current != -* ]]; then\n"
		       "\t\t\tCOMPREPLY=($(compgen -W '",
		       (int)size, verbs[i]->name, at);
		put_second_words(verbs[i]->name, size);
		printf("' -- \"$current\"))\n\t\t\treturn\n\t\tfi\n"
		       "\t\t[[ ${COMP_WORDS[%d]} == -* ]] || verb=\"$verb "
		       "${COMP_WORDS[%d]}\"\n\tfi\n",
		       at, at);
	}
	fputs("\tcase $verb in\n", stdout);
	for (size_t i = 0; verbs[i]; i++)
		bash_verb(verbs[i]);
	fputs("\tesac\n"
	      "\tcase $current in\n"
	      "\t-*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
	      "\t*) if [ \"$verb\" = help ]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W '",
	      stdout);
	put_verb_words(" ");
	fputs("' -- \"$current\"))\n"
	      "\telif [ \"$verb\" = completion ]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W 'bash zsh fish' -- \"$current\"))\n"
	      "\telse\n\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n\tfi ;;\n"
	      "\tesac\n}\ncomplete -o filenames -F _strobe strobe\n",
	      stdout);
}

// Text within '...' of a shell, without what _arguments gives a meaning: [ ] and :.
static void put_zsh(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void zsh_option(const struct option *option)
{
	fputs("\t\t\t'", stdout);
	printf("--%s%s[", option->name, option->argument ? "=" : "");
	put_zsh(option->help);
	putchar(']');
	if (option->argument) {
		putchar(':');
		put_zsh(option->argument);
		putchar(':');
		if (option->choices) {
			putchar('(');
			put_choices(option->choices);
			putchar(')');
		} else if (takes_file(option)) {
			fputs("_files", stdout);
		}
	}
	fputs("' \\\n", stdout);
}

static void zsh_completion(void)
{
	const struct option *option;
	fputs("#compdef strobe\n# zsh completion of strobe; made by: strobe completion zsh\n"
	      "_strobe()\n{\n\tlocal verb=$words[2]\n"
	      "\tif (( CURRENT == 2 )); then\n\t\tcompadd -- ",
	      stdout);
	put_verb_words(" ");
	fputs("\n\t\treturn\n\tfi\n", stdout);
	for (size_t i = 0; verbs[i]; i++) {
		size_t size = first_word(verbs[i]);
		if (!is_first_of_group(i))
			continue;
		int at = verbs[i]->target_first ? 4 : 3;
		printf("\tif [[ $verb == %.*s ]]; then\n", (int)size, verbs[i]->name);
		if (verbs[i]->target_first)
			fputs("\t\tif (( CURRENT == 3 )); "
			      "then\n\t\t\t_files\n\t\t\treturn\n\t\tfi\n",
			      stdout);
		printf("\t\tif (( CURRENT == %d )); then\n\t\t\tcompadd --", at);
		put_second_words(verbs[i]->name, size);
		printf("\n\t\t\treturn\n\t\tfi\n\t\tif [[ $words[%d] != -* ]]; then\n"
		       "\t\t\tverb=\"$verb $words[%d]\"\n"
		       "\t\t\tshift words\n\t\t\t(( CURRENT-- ))\n\t\tfi\n\tfi\n",
		       at, at);
	}
	fputs("\tshift words\n\t(( CURRENT-- ))\n\tcase $verb in\n", stdout);
	for (size_t i = 0; verbs[i]; i++) {
		printf("\t'%s')\n\t\t_arguments \\\n", verbs[i]->name);
		for (size_t j = 0; (option = verb_option(verbs[i], j)); j++)
			zsh_option(option);
		printf("\t\t\t'*:argument:%s' ;;\n",
		       verbs[i]->has_target || verbs[i]->has_trace ? "_files"
		       : strcmp(verbs[i]->name, "completion") == 0 ? "(bash zsh fish)"
								   : "");
	}
	fputs("\tesac\n}\n_strobe \"$@\"\n", stdout);
}

// Text within '...' of fish: \ and ' are escaped.
static void put_fish(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

static void fish_condition(const struct verb *verb)
{
	size_t size = first_word(verb);
	printf("complete -c strobe -n '__fish_seen_subcommand_from %.*s", (int)size, verb->name);
	if (verb->name[size])
		printf("; and __fish_seen_subcommand_from %s", verb->name + size + 1);
	putchar('\'');
}

static void fish_option(const struct verb *verb, const struct option *option)
{
	fish_condition(verb);
	printf(" -l %s", option->name);
	if (option->letter)
		printf(" -s %c", option->letter);
	if (option->argument)
		fputs(takes_file(option) ? " -r" : " -x", stdout);
	if (option->choices) {
		fputs(" -a '", stdout);
		put_choices(option->choices);
		putchar('\'');
	}
	fputs(" -d '", stdout);
	put_fish(option->help);
	puts("'");
}

static void fish_completion(void)
{
	const struct option *option;
	puts("# fish completion of strobe; made by: strobe completion fish");
	for (size_t i = 0; verbs[i]; i++) {
		size_t size = first_word(verbs[i]);
		if (is_first(i)) {
			printf("complete -c strobe -f -n __fish_use_subcommand -a %.*s -d '",
			       (int)size, verbs[i]->name);
			put_fish(verbs[i]->summary);
			puts("'");
		}
		if (verbs[i]->name[size]) {
			printf("complete -c strobe -f -n '__fish_seen_subcommand_from %.*s' -a %s "
			       "-d '",
			       (int)size, verbs[i]->name, verbs[i]->name + size + 1);
			put_fish(verbs[i]->summary);
			puts("'");
		}
		for (size_t j = 0; (option = verb_option(verbs[i], j)); j++)
			fish_option(verbs[i], option);
	}
	puts("complete -c strobe -f -n '__fish_seen_subcommand_from completion' -a 'bash zsh "
	     "fish'");
}

static int run_completion(struct command *command)
{
	const char *shell = command->arguments[0];
	if (strcmp(shell, "bash") == 0)
		bash_completion();
	else if (strcmp(shell, "zsh") == 0)
		zsh_completion();
	else if (strcmp(shell, "fish") == 0)
		fish_completion();
	else
		return command_usage(command, "'%s' is not one of bash, zsh, fish", shell);
	return STATUS_DONE;
}

const struct verb verb_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "write the completion script of a shell",
	.min_arguments = 1,
	.max_arguments = 1,
	.run = run_completion,
};
