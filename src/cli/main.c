// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <strobe/version.h>

int main(void)
{
	printf("strobe %s\n", strobe_version());
	return 0;
}
