# The slices of CI: what each is, how long it may take (seconds), and a function that runs it.
# Sourced by .ci/run. `npm ci` is what every slice needs; what else one needs it builds, which takes
# no time where a slice before it did.
# shellcheck shell=bash

slices=(readme lint types instruction-sets asan tsan arm64 old-x86 nodes packing durability browser)

slice_title() {
  case $1 in
    readme) echo "npm ci && npm test, as the README says" ;;
    lint) echo "Biome; the README's tables; C++ that no other slice compiles" ;;
    types) echo "type tests against the packed declarations" ;;
    instruction-sets) echo "kernels, codecs and recall per instruction set" ;;
    asan) echo "C++ tests and a slice of the JS suite under ASan and UBSan" ;;
    tsan) echo "C++ tests with threads under ThreadSanitizer" ;;
    arm64) echo "NEON kernels and codecs, cross-compiled, under qemu" ;;
    old-x86) echo "processors without AVX and without AVX-512, under qemu" ;;
    nodes) echo "the addon on Node 20.3, 22, 24 and 26" ;;
    packing) echo "the package, packed and installed as a stranger does" ;;
    durability) echo "planted bugs, each caught; what knows the system, for Windows" ;;
    browser) echo "the client and the console in Chromium" ;;
    fuzz) echo "each fuzz target for a moment" ;;
    *) echo "unknown slice: $1" ;;
  esac
}

# Together no more than what .ci/run grants the whole.
slice_budget() {
  case $1 in
    readme) echo 560 ;;
    lint | types) echo 30 ;;
    durability | browser) echo 70 ;;
    instruction-sets) echo 90 ;;
    asan) echo 330 ;;
    tsan) echo 150 ;;
    arm64) echo 190 ;;
    old-x86) echo 100 ;;
    *) echo 60 ;;
  esac
}

install() {
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo -n"
  export DEBIAN_FRONTEND=noninteractive
  if [ ! -e out/ci/apt-updated ]; then
    $sudo apt-get update -qq
    touch out/ci/apt-updated
  fi
  $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need COMMAND PACKAGE: installs a Debian package if its command is missing.
need() {
  command -v "$1" >/dev/null && return
  install "$2"
  command -v "$1" >/dev/null || { echo "cannot install $2"; return 1; }
}

# Clang, and its sanitizers, which are a package of their own in some releases of Debian. Prints
# where the one is that a host which was compiled without it preloads.
need_clang() {
  need clang++ clang >&2
  local library version
  library=$(clang++ -print-file-name="libclang_rt.asan-$(uname -m).so")
  if [ ! -e "$library" ]; then
    version=$(clang++ -dumpversion)
    install "libclang-rt-${version%%.*}-dev" >&2
    library=$(clang++ -print-file-name="libclang_rt.asan-$(uname -m).so")
  fi
  [ -e "$library" ] || { echo "cannot install clang's sanitizers" >&2; return 1; }
  echo "$library"
}

# The tests are compiled by clang, in half of the time; the addon that users get by their compiler.
slice_readme() {
  npm ci
  need_clang >/dev/null
  CC=clang CXX=clang++ npm test
}

slice_lint() {
  npm run --silent lint
  npm run --silent build:proto -- --check
  node bench/readme-table.mjs --check
  local file
  for file in bench/native/*.cc; do
    g++ -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Icsrc -fsyntax-only "$file"
  done
}

slice_types() {
  npm run --silent test:types
}

# The tests whose result depends on the instruction set.
readonly simd_tests='^(simd|quant|db_recall)'

# All but the one that the readme slice ran, the best that the processor has.
slice_instruction_sets() {
  local set sets="scalar" features
  features=$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo || true)
  case " $features " in *" avx512bw "*) sets="scalar avx2" ;; esac
  for set in $sets; do
    echo "--- OMENDB_SIMD=$set"
    OMENDB_SIMD=$set node .ci/native.mjs test-points -R "$simd_tests" -E emulated
    OMENDB_SIMD=$set node .ci/js-tests.mjs simd search model
  done
}

slice_asan() {
  local library
  library=$(need_clang)
  # What recall tests run, the graph tests run too, in a tenth of the time.
  OMEN_DAMAGE_STEP=997 OMEN_DAMAGE_RANDOM=8 OMEN_FAULT_STEP=11 OMEN_SALVAGE_ROUNDS=3 \
    OMEN_CRASH_WORKLOADS=1 OMEN_CODES_KINDS=1 OMEN_CHURN=200000 \
    node .ci/native.mjs asan -E db_recall
  node .ci/js-tests.mjs --compile-only
  # V8 keeps what it never frees, so leaks are looked for in the C++ tests alone.
  LD_PRELOAD=$library ASAN_OPTIONS=detect_leaks=0 OMENDB_ADDON=out/asan/omendb.node \
    node .ci/js-tests.mjs --no-compile reads writes search bad-input native-
}

slice_tsan() {
  need_clang >/dev/null
  local tests
  shopt -s nullglob
  tests=$(cd test/native && printf '%s\n' *threads*_test.cc exec*_test.cc memory_epoch_test.cc |
    sed 's/\.cc$//' | sort -u | paste -sd,)
  OMEN_CHECKPOINT_OPERATIONS=20 node .ci/native.mjs tsan --target="$tests" -R 'threads|exec|epoch'
}

slice_arm64() {
  need_clang >/dev/null
  need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  need qemu-aarch64 qemu-user
  local tests cpu
  shopt -s nullglob
  # What emulates AVX-512 has nothing to tell here.
  tests=$(cd test/native && printf '%s\n' {simd,quant}*_test.cc | grep -v emulated |
    sed 's/\.cc$//' | paste -sd,)
  node .ci/native.mjs arm64 --build-only --target="$tests"
  # The first has no dot product instructions, the second every extension.
  for cpu in cortex-a72 max; do
    echo "--- QEMU_CPU=$cpu"
    QEMU_CPU=$cpu node .ci/native.mjs arm64 --target="$tests" -R '^(simd|quant)' -E emulated
  done
}

slice_old_x86() {
  if [ "$(uname -m)" != x86_64 ]; then echo "not an x86-64 machine"; return; fi
  need qemu-x86_64 qemu-user
  local cpu test
  shopt -s nullglob
  node .ci/native.mjs test-points --build-only
  # Nehalem stops at SSE 4.2, Haswell at AVX2. The output of each is one piece.
  for cpu in Nehalem Haswell; do
    for test in out/test-points/{simd_choose,simd_kernels,quant*}_test; do
      printf '%s\0%s\0' "$cpu" "$test"
    done
  done | xargs -0 -n 2 -P "$(nproc)" bash -c '
    output=$(qemu-x86_64 -cpu "$0" "$1" 2>&1)
    status=$?
    printf "%s\n" "--- $0: ${1##*/}" "$output"
    exit $status'
}

slice_nodes() {
  npm run --silent test:nodes
}

slice_packing() {
  npm run --silent test:pack
}

# What else proves durability is in the suites of the readme slice, at small counts.
slice_durability() {
  need x86_64-w64-mingw32-g++-posix g++-mingw-w64-x86-64-posix
  npm run --silent test:durability -- planted windows --quick
}

# Where Chromium is named, no test of it is skipped.
slice_browser() {
  need chromium chromium
  CHROMIUM=$(command -v chromium) node .ci/js-tests.mjs browser- console
}

slice_fuzz() {
  need_clang >/dev/null
  npm run --silent test:fuzz
}
