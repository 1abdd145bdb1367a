#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo tells the story that it should, also where no core file can be had. TAP on stdout.
# demo.sh BUILD
here=$(dirname "$(readlink -f "$0")")
run="$here/../../examples/demo/run.sh"
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/strobe-test.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
count=0 failed=0
check() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		failed=1
		printf '%s\n' "$output" | sed 's/^/# /'
		echo "not ok $count - $2"
	fi
}
has() { grep -qF -- "$1" <<<"$output"; echo $?; }
finds() { grep -qE -- "$1" <<<"$output"; echo $?; }

# What does not need a core.
check_live() {
	check "$(finds '^[0-9]+ \(demo_server\): 7 threads, stopped .* -> @demo in .*; clone$')" "$1: it snapshots the living server"
	check "$(finds 'clients had [1-9][0-9]+ answers meanwhile')" "$1: which goes on answering"
	check "$(finds 'worker-[0-3] +running .* stretch ')" "$1: it shows a thread in the middle of a request"
	check "$(finds 'seal = \{round = [1-9][0-9]*, rounds = [0-9]+, ')" "$1: with its values"
	check "$(finds 'server.sessions\[5\].last  0x0 -> 0x72')" "$1: it shows what changed between two pictures"
	check "$(finds 'last = 0x72, requests = 0')" "$1: the picture from before the crash has the bug"
	[[ $output != *'<error'* && $output != *'no verb'* && $output != *'strobe: '* ]]
	check $? "$1: nothing in it reads as an error"
}

output=$(bash "$run" "$1" 2>&1)
check $? 'the demo ends well'
check_live whole
case $output in
*'but no core file'*)
	count=$((count + 1))
	echo "ok $count - the crash # SKIP no core file: core_pattern leads elsewhere, and there is no gdb"
	;;
*)
	check "$(has SIGSEGV)" 'it names the signal'
	check "$(has 'entry=0x72')" 'it shows the bad pointer as an argument'
	check "$(has '"wilhelmina.harke"')" 'it shows the user name that ran over'
	check "$(has reply_entry)" 'it names the function that died'
	;;
esac

output=$(ulimit -Hc 0 && GDB=/nonexistent bash "$run" "$1" 2>&1)
check $? 'without a core file it ends well, too'
check_live 'no core'
check "$(has 'Signal 11, but no core file')" 'it says that there is none'
[ -z "$(ls -A "$TMPDIR")" ]
check $? 'no folder is left'
echo "1..$count"
exit $failed
