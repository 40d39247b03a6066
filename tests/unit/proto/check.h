/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cmocka with what it needs, and causes compared by name so that a failure can be read. */
#ifndef SIMHOP_TESTS_PROTO_CHECK_H
#define SIMHOP_TESTS_PROTO_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cause.h"

#define assert_cause(call, cause)                                                                  \
    assert_string_equal(sh_cause_info(call)->name, sh_cause_info(cause)->name)
#define assert_ok(call) assert_cause(call, SH_OK)

#endif
