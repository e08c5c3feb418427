// windows.h without what it does to others: no min and max macros, no sockets. For _WIN32 only.
#pragma once

#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)  // MinGW defines it already.
#define NOMINMAX
#endif
#include <windows.h>
