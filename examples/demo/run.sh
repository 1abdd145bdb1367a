#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo: a server dies under load, strobe walks through the core it left. run.sh BUILD_FOLDER
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/strobe-demo.XXXXXX")
trap 'rm -rf "$folder"' EXIT
export PATH="$build:$PATH"
unset DEBUGINFOD_URLS

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi
remark() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
# show COMMAND...: prints it as it would be typed, then runs it.
show() {
	local word line=''
	for word in "$@"; do
		case $word in
		*[\ \*\&\>\<\(\)\$]*) line+=" '$word'" ;;
		*) line+=" $word" ;;
		esac
	done
	printf '%s$%s%s\n' "$bold" "$line" "$plain"
	"$@"
}

read -r answered signal core < <(python3 "$here/drive.py" "$build/examples/demo_server" "$folder")
cd "$folder"
[ "$core" = "$folder/core" ] || mv "$core" core

remark "The server answered $answered requests, then signal $signal killed it. Who died, and of what?"
show strobe info core
remark 'Where? What were its arguments and locals?'
show strobe bt core --thread signal --frames 2 --locals
remark 'entry is no pointer. It came from session->last:'
show strobe print core --frame 1 '*session'
remark "0x72 is 'r': one letter of the user's name too many. The bytes side by side:"
show strobe print core --frame 1 'session->user[0]@17'
show strobe mem read core --frame 1 session 48
remark 'The code that read it, as source and as instructions:'
show strobe list core --frame 0
show strobe disasm core '*$rip' --count 4
remark 'Does it concern others? All users, from any frame:'
show strobe print core 'server.sessions[3].user' 'server.sessions[4].user' 'server.sessions[5].user'
remark 'What were the others doing?'
show strobe threads core
remark 'And where else is that name?'
show strobe mem search core --text wilhelmina --limit 5
