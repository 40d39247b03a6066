/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of words, for the small text files that people write: no copy, no NUL, no locale.
 */
#ifndef SIMHOP_PAIRING_WORDS_H
#define SIMHOP_PAIRING_WORDS_H

#include "proto/base.h"

/* The next word of the line, which is moved on; n = 0 at its end. Between words stand blanks, tabs and CR. */
struct sh_bytes sh_next_word(struct sh_bytes *line);

bool sh_word_is(struct sh_bytes word, const char *text);

#endif
