# Debian 12 packages, by what needs them; read by ./dev.
build_packages="gcc libc6-dev meson ninja-build pkg-config libdw-dev libelf-dev libdebuginfod-dev
	libzydis-dev libipt-dev libjansson-dev libsqlite3-dev libfyaml-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler libssl-dev libcurl4-openssl-dev libzstd-dev liblzma-dev libpcre2-dev libiberty-dev libxxhash-dev libb2-dev scdoc python3"
# gdb is the truth that answers are compared with; the others make the programs that are examined.
test_packages="gdb g++ binutils elfutils dwz xz-utils libc6-dbg libjemalloc-dev musl-tools redis-server nginx-light wrk zstd valgrind python3-grpcio protobuf-compiler python3-protobuf"
demo_packages="gdb libc6-dbg"
check_packages="clang-format"
# A real browser opens heap snapshots and reports; it is large, so that ./dev test does without.
full_packages="clang clang-tidy libclang-rt-dev libc++-dev libc++abi-dev lld llvm cppcheck rustc
	python3.11 python3.11-dbg chromium graphviz nodejs"
bench_packages="python3.11 python3.11-dbg time"
fuzz_packages="clang libclang-rt-dev gdb"
