/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The distance of the last minute as a picture of letters: a column a moment, the newest at the right, nearer is higher; a row
 * is twice as far as the one above it, from an eighth of a metre to eight metres, with the one metre marked.
 */
#ifndef SIMHOP_CLI_PLOT_H
#define SIMHOP_CLI_PLOT_H

#include "proto/base.h"

#define SH_PLOT_SPAN_MS 60000
#define SH_PLOT_SLOTS   300 /* of 200 ms */
#define SH_PLOT_ROWS    6
#define SH_PLOT_COLUMNS 400 /* at most */
#define SH_PLOT_SIZE    (SH_PLOT_ROWS * (SH_PLOT_COLUMNS * 3 + 2) + 1)

/* Zeroed at the start. */
struct sh_plot {
    double metres[SH_PLOT_SLOTS];   /* a ring, NAN: nobody was heard */
    uint64_t number[SH_PLOT_SLOTS]; /* which slot since the first, plus one; 0: empty */
    bool begun;
    sh_ms first;
    uint64_t newest;
};

/* metres: NAN if nobody is heard. Times must not run backwards; the latest value of a slot counts. */
void sh_plot_add(struct sh_plot *plot, sh_ms at, double metres);

/* SH_PLOT_ROWS lines of at most `columns` columns (20 to SH_PLOT_COLUMNS), each with its LF. utf8: with blocks of eighths,
 * else ASCII. */
void sh_plot_draw(const struct sh_plot *plot, unsigned columns, bool utf8, char out[SH_PLOT_SIZE]);

#endif
