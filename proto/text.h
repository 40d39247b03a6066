/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from outside: is it something that may be shown and stored?
 */
#ifndef SIMHOP_PROTO_TEXT_H
#define SIMHOP_PROTO_TEXT_H

#include "proto/base.h"

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) of at most max octets without
 * C0 and C1 control characters, DEL, and the bidirectional and line separators that can make one text look like another
 * (U+2028 to U+202E, U+2066 to U+2069). "" is clean. */
SH_MUST_USE bool sh_text_is_clean(const char *text, size_t max);

#endif
