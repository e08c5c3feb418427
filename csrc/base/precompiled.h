// What nearly every file of the engine and its tests includes of the standard library, compiled
// once for each build of CMakeLists.txt. Nothing includes it by name: each file names what it
// uses, and binding.gyp builds without it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>
