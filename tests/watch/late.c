// SPDX-License-Identifier: Apache-2.0
// A library that comes late.
int late(int n);
int late(int n)
{
	return n + 1; // LATE
}
