#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo: pictures of a server at work, then of its crash. run.sh BUILD_FOLDER
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/strobe-demo.XXXXXX")
export PATH="$build:$PATH" XDG_RUNTIME_DIR="$folder" # the held copy's name is nobody else's
unset DEBUGINFOD_URLS
driver='' pid=''
finish() {
	strobe held drop demo --quiet >/dev/null 2>&1 || true
	[ -z "$driver" ] || kill "$driver" 2>/dev/null || true
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	rm -rf "$folder"
}
trap finish EXIT

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
# tell VERB: has the driver do it; what it says is in $answer.
tell() {
	printf '%s\n' "$1" >&"${clients[1]}"
	read -r answer <&"${clients[0]}" || exit 1
}

coproc clients { exec python3 "$here/drive.py" --live "$build/examples/demo_server" "$folder"; }
driver=$! # the coprocess
read -r pid <&"${clients[0]}"
cd "$folder"

tell busy
tell count
remark 'A server at work. Its picture, in the middle of a request:'
show strobe snap "$pid" --hold demo
sleep 0.5
tell count
remark "Its clients had ${answer% *} answers meanwhile, the slowest after ${answer#* } ms. The picture stands still:"
show strobe threads @demo
worker=$(strobe threads @demo | awk '/stretch/ { print $1; exit }')
show strobe bt @demo --thread "$worker" --frames 2 --locals
show strobe print @demo --thread "$worker" --frame 1 'seal.round * 100.0 / seal.rounds'
remark 'wilhelmina.harker logs in. A second picture, as a file, and what is new in it:'
tell login
show strobe snap "$pid" -o login.core
show strobe diff @demo login.core --globals --limit 10
remark 'What it has on its heap, by type, and how one of its entries is reached:'
show strobe heap login.core histogram --limit 4
show strobe heap login.core path --type 'struct entry'
line=$(grep -n 'session->requests++' "$here/server.c" | cut -d: -f1)
if strobe watch "$pid" "server.c:$line" --log x --hits 1 --time 5 >/dev/null 2>&1; then
	remark 'A tracepoint in the living server: who asks for what, where more than 100 were asked before?'
	show strobe watch "$pid" "server.c:$line if session->requests > 100 && request->verb == VERB_GET" \
		--log '{session->user}, request {session->requests}: {request->key}' --hits 3
fi
tell count
remark "After ${answer% *} answers more, a request of hers kills the server. The core:"
tell crash
pid=''
read -r signal core <<<"$answer"
if [ "$core" = - ]; then
	remark "Signal $signal, but no core file: the kernel leaves none here, and gdb made none."
	remark 'The picture from before the crash has what was wrong:'
	show strobe print login.core 'server.sessions[5]'
	exit 0
fi
[ "$core" = "$folder/core" ] || mv "$core" core
show strobe bt core --thread signal --frames 2 --locals
remark 'entry is no pointer. It came from session->last. Was that wrong before she asked?'
show strobe print login.core 'server.sessions[5]'
remark "It was: 0x72 is 'r', one letter of her name too many. The bytes side by side:"
show strobe mem read login.core '&server.sessions[5]' 48
remark 'From that picture to the crash, in short:'
show strobe diff login.core core --threads
show strobe info core
remark 'The code that died, as source and as instructions:'
show strobe list core --frame 0
show strobe disasm core '*$rip' --count 4
remark 'And where else is that name?'
show strobe mem search core --text wilhelmina --limit 5
