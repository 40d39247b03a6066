/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/plot.h"

#include <math.h>

#define SLOT_MS       (SH_PLOT_SPAN_MS / SH_PLOT_SLOTS)
#define NEAREST_M     0.125
#define LABEL         8 /* columns */
#define MARK_ROW      2 /* its lower edge is one metre */
#define LEAST_COLUMNS 20

static const char labels[SH_PLOT_ROWS][LABEL + 1] = {".25 m | ", " .5 m | ", "  1 m +-",
                                                     "  2 m | ", "  4 m | ", "  8 m | "};
static const char *const eighths[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                      "\u2585", "\u2586", "\u2587", "\u2588"};
static const char ascii[] = {' ', '.', '.', ':', ':', ':', '|', '|', '#'};

void sh_plot_add(struct sh_plot *plot, sh_ms at, double metres)
{
    if (!plot->begun) {
        plot->begun = true;
        plot->first = at;
    }
    plot->newest = (at - plot->first) / SLOT_MS;
    plot->metres[plot->newest % SH_PLOT_SLOTS] = metres;
    plot->number[plot->newest % SH_PLOT_SLOTS] = plot->newest + 1;
}

/* How high the bar of these slots (counted back from the newest) is, in eighths of a row; 0: nothing. */
static unsigned height(const struct sh_plot *plot, unsigned from, unsigned to)
{
    double sum = 0.0;
    unsigned count = 0;
    for (unsigned back = from; back < to && back <= plot->newest; back++) {
        uint64_t slot = plot->newest - back;
        double metres = plot->metres[slot % SH_PLOT_SLOTS];
        if (plot->number[slot % SH_PLOT_SLOTS] != slot + 1 || !isfinite(metres))
            continue;
        sum += log2(fmax(metres, NEAREST_M) / NEAREST_M);
        count++;
    }
    if (count == 0)
        return 0;
    double eighth = 8.0 * (SH_PLOT_ROWS - sum / count);
    return eighth < 1.0 ? 1 : (unsigned)lround(fmin(eighth, 8.0 * SH_PLOT_ROWS));
}

static char *put(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

static char *put_cell(char *at, unsigned full, bool mark, bool utf8)
{
    if (full == 0 && mark) {
        *at = '-';
        return at + 1;
    }
    if (utf8)
        return put(at, eighths[full]);
    *at = ascii[full];
    return at + 1;
}

void sh_plot_draw(const struct sh_plot *plot, unsigned columns, bool utf8, char out[SH_PLOT_SIZE])
{
    unsigned heights[SH_PLOT_COLUMNS];
    char *at = out;
    columns = SH_MIN(SH_MAX(columns, LEAST_COLUMNS), SH_PLOT_COLUMNS) - LABEL;
    columns = SH_MIN(columns, SH_PLOT_SLOTS);
    for (unsigned c = 0; c < columns; c++) {
        unsigned back = columns - 1 - c;
        heights[c] =
            height(plot, back * SH_PLOT_SLOTS / columns, (back + 1) * SH_PLOT_SLOTS / columns);
    }
    for (unsigned row = 0; row < SH_PLOT_ROWS; row++) {
        unsigned below = 8 * (SH_PLOT_ROWS - 1 - row);
        at = put(at, labels[row]);
        for (unsigned c = 0; c < columns; c++) {
            unsigned full = heights[c] > below ? SH_MIN(heights[c] - below, 8U) : 0;
            at = put_cell(at, full, row == MARK_ROW, utf8);
        }
        *at++ = '\n';
    }
    *at = '\0';
}
