# ./dev check and ./dev fuzz; sourced by ./dev.

# step NAME COMMAND...: runs it, shows its output only when it fails.
step() {
	local name=$1 log started=$SECONDS
	shift
	log=$(mktemp)
	if ("$@") >"$log" 2>&1; then
		printf 'ok      %-28s %4d s\n' "$name" $((SECONDS - started))
	else
		cat "$log"
		printf 'FAILED  %-28s %4d s\n' "$name" $((SECONDS - started))
		failures=$((failures + 1))
	fi
	rm -f "$log"
}

check_format() {
	local file status=0
	for file in $(git ls-files '*.c' '*.h'); do
		clang-format --dry-run -Werror "$file" 2>/dev/null || { echo "not formatted: $file"; status=1; }
	done
	[ $status = 0 ] || echo "mend with: clang-format -i FILE"
	return $status
}

strict_build() {
	configure build-strict -Dwerror=true && ninja -C build-strict
}

clang_build() {
	CC=clang configure build-clang -Dwerror=true && ninja -C build-clang && run_tests build-clang
}

sanitized_tests() {
	CC=clang configure build-asan -Db_sanitize=address,undefined -Db_lundef=false \
		-Dbuildtype=debug && ninja -C build-asan &&
		ASAN_OPTIONS=allocator_may_return_null=1 \
			UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 run_tests build-asan
}

analyzer() {
	local file status=0
	for file in $(git ls-files 'src/*.c'); do
		gcc -std=gnu11 -D_GNU_SOURCE -DSTROBE_VERSION='""' -Iinclude -Isrc -O1 -fanalyzer -Werror \
			-c -o /dev/null "$file" || status=1
	done
	return $status
}

tidy_clang() {
	clang-tidy -p build --quiet --warnings-as-errors='*' \
		--checks='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,-bugprone-assignment-in-if-condition,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-bugprone-branch-clone,-bugprone-macro-parentheses' \
		$(git ls-files 'src/*.c')
}

cppcheck_all() {
	cppcheck --quiet --error-exitcode=1 --inline-suppr -DSTROBE_VERSION='""' -Iinclude -Isrc \
		--enable=warning,performance,portability --std=c11 --suppress=missingIncludeSystem src
}

# fuzz_all [SECONDS] [TARGET...]: every target for SECONDS each (60), starting from its corpus.
fuzz_all() {
	local seconds=60 targets=() target status=0
	case ${1:-} in
	[0-9]*)
		seconds=$1
		shift
		;;
	esac
	CC=clang configure build-fuzz -Dfuzz=true -Db_lundef=false -Dbuildtype=debugoptimized
	compile build-fuzz
	STROBE_FUZZ_CORE=$(python3 fuzz/make_corpora.py build-fuzz)
	export STROBE_FUZZ_CORE
	targets=("$@")
	[ ${#targets[@]} -gt 0 ] || targets=($(cd fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//'))
	for target in "${targets[@]}"; do
		mkdir -p "build-fuzz/corpus/$target" "build-fuzz/found"
		printf 'fuzzing %s for %s s\n' "$target" "$seconds"
		if ! "build-fuzz/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
			-artifact_prefix="build-fuzz/found/$target-" -print_final_stats=1 \
			"build-fuzz/corpus/$target" "fuzz/corpus/$target" >"build-fuzz/$target.log" 2>&1; then
			tail -40 "build-fuzz/$target.log"
			printf 'FAILED  %s: see build-fuzz/found/%s-*\n' "$target" "$target"
			status=1
		else
			grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "build-fuzz/$target.log"
		fi
	done
	return $status
}

check_all() {
	failures=0
	build_all
	step format check_format
	step 'strict build' strict_build
	step tests run_tests "$build"
	if [ "${1:-}" = --full ]; then
		step 'clang build and tests' clang_build
		step 'ASan and UBSan' sanitized_tests
		step 'gcc -fanalyzer' analyzer
		step clang-tidy tidy_clang
		step cppcheck cppcheck_all
		step 'fuzzers, a minute each' fuzz_all 60
		step 'damaged files' python3 tests/damage/damage.py "$build/strobe"
		step 'parity with gdb' python3 tests/parity/compare.py "$build/strobe"
	fi
	[ "$failures" = 0 ]
}
