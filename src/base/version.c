// SPDX-License-Identifier: Apache-2.0
#include <strobe/version.h>

const char *strobe_version(void)
{
	return STROBE_VERSION;
}
