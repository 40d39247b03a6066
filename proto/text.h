/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from outside: UTF-8 (RFC 3629), and what of it may be shown and stored. A terminal obeys what it prints and a person
 * believes what a name looks like, so characters that move the cursor, break the line or turn the direction of writing are unsafe.
 */
#ifndef SIMHOP_PROTO_TEXT_H
#define SIMHOP_PROTO_TEXT_H

#include "proto/base.h"

#define SH_UTF8_BAD UINT32_MAX

/* The next character of a NUL-terminated text, which is moved on; 0 at its end. Octets that are not UTF-8 (also overlong forms,
 * surrogates, above U+10FFFF) give SH_UTF8_BAD, one at a time. */
uint32_t sh_utf8_next(const char **text);

/* C0, DEL, C1, line separators, marks of direction, SH_UTF8_BAD. */
bool sh_char_is_unsafe(uint32_t character);

/* At most max octets, all of them UTF-8, no character unsafe. "" is clean. */
SH_MUST_USE bool sh_text_is_clean(const char *text, size_t max);

#endif
