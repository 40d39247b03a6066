# SPDX-License-Identifier: GPL-3.0-or-later
# Warnings that are errors, hardening, and the sanitizers, as interface libraries.
add_library(simhop-warnings INTERFACE)
target_compile_options(simhop-warnings INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wswitch-enum
    -Wimplicit-fallthrough -Wnull-dereference
    -fstack-protector-strong -fno-common)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # clang would apply the first two to macros of system and generated headers as well: NAN, SIMHOP__X__INIT.
    target_compile_options(simhop-warnings INTERFACE -Wdouble-promotion -Wcast-qual -Wlogical-op
        -Wduplicated-cond -Wduplicated-branches)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SIMHOP_SANITIZE)
    target_compile_definitions(simhop-warnings INTERFACE _FORTIFY_SOURCE=2)
    target_link_options(simhop-warnings INTERFACE -Wl,-z,relro,-z,now)
endif()

add_library(simhop-sanitizers INTERFACE)
if(SIMHOP_SANITIZE)
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(simhop-sanitizers INTERFACE ${sanitize})
    target_link_options(simhop-sanitizers INTERFACE ${sanitize})
endif()
if(SIMHOP_FUZZ)
    target_compile_options(simhop-sanitizers INTERFACE -fsanitize=fuzzer-no-link)
endif()
