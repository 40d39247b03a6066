/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text from outside on its way to a screen: the other device chooses its name and the items' names, and a terminal
 * obeys what it prints. Whatever could move the cursor, change colours, break the line or turn the direction of
 * writing is replaced.
 */
#ifndef SIMHOP_CLI_SAFE_H
#define SIMHOP_CLI_SAFE_H

#include "proto/text.h"

/* Columns that a character takes at most: East Asian wide ones and emoji 2. */
unsigned sh_char_columns(uint32_t character);

/* Copies text to out (size octets, at least 1) with each unsafe character as '?', until max_columns columns or out is
 * full; never half a character. Returns the columns used. */
unsigned sh_safe_copy(char *out, size_t size, const char *text, unsigned max_columns);

#endif
