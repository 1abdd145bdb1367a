// SPDX-License-Identifier: Apache-2.0
#include "symbols/demangle.h"
#include "check.h"

static void check_pair(const char *mangled, const char *full, const char *plain)
{
	char *text = demangle(mangled);
	CHECK_STRING(text, full);
	free(text);
	text = demangle_plain(mangled);
	CHECK_STRING(text, plain);
	free(text);
}

static void demangles(void)
{
	check_pair("_ZN2ns1fEiPKc", "ns::f(int, char const*)", "ns::f");
	check_pair("_ZN2ns1fIiEEvT_", "void ns::f<int>(int)", "ns::f<int>");
	check_pair("_Z1fv.cold", "f() [clone .cold]", "f [clone .cold]");
	check_pair("_ZNKSt8functionIFvvEEclEv", "std::function<void ()>::operator()() const",
		   "std::function<void ()>::operator()");
	check_pair("_ZTV3Foo", "vtable for Foo", "vtable for Foo");
	check_pair("_ZN4core3fmt5Write9write_str17h0123456789abcdefE",
		   "core::fmt::Write::write_str", "core::fmt::Write::write_str");
	check_pair("_RNvCs1234_7mycrate3foo", "mycrate::foo", "mycrate::foo");
}

static void leaves_plain_names(void)
{
	CHECK(!demangle("main"));
	CHECK(!demangle(""));
	CHECK(!demangle("_Z"));
	CHECK(!demangle("_ZN"));
	CHECK(!demangle("__libc_start_main"));
}

// Each substitution is a pair of the one before: 2^40 names if printed.
static void an_exploding_name_is_refused(void)
{
	char name[1024] = "_Z1f";
	size_t size = strlen(name);
	size += (size_t)sprintf(name + size, "1AIiiE");
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	for (int i = 0; i < 30; i++) {
		char last[4];
		if (i == 0)
			sprintf(last, "S0_");
		else
			sprintf(last, "S%c_", digits[i]);
		size += (size_t)sprintf(name + size, "S_I%s%sE", last, last);
	}
	char *text = demangle(name);
	CHECK(!text || strlen(text) <= DEMANGLE_OUTPUT_LIMIT);
	free(text);
	memset(name, 'P', sizeof(name) - 1);
	memcpy(name, "_Z1f", 4);
	name[sizeof(name) - 1] = 0;
	free(demangle(name));
}

CHECK_MAIN({"demangles C++ and Rust, with and without parameters", demangles},
	   {"leaves names alone that are not mangled", leaves_plain_names},
	   {"a name that would expand without end is refused", an_exploding_name_is_refused})
