#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo tells the story that it should. TAP on stdout. demo.sh BUILD
here=$(dirname "$(readlink -f "$0")")
output=$(bash "$here/../../examples/demo/run.sh" "$1" 2>&1)
status=$?
case $output in
*'no core file: core_pattern'*)
	echo '1..0 # SKIP no core file: core_pattern leads elsewhere'
	exit 0
	;;
esac
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
check $status 'the demo ends well'
check "$(has SIGSEGV)" 'it names the signal'
check "$(has 'entry=0x72')" 'it shows the bad pointer as an argument'
check "$(has '"wilhelmina.harke"')" 'it shows the user name that ran over'
check "$(has reply_entry)" 'it names the function that died'
[[ $output != *'<error'* && $output != *'no verb'* ]]
check $? 'nothing in it reads as an error'
echo "1..$count"
exit $failed
