/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines for a person. On a terminal the meter and the bar are redrawn in place, by carriage return and blanks alone, so no
 * terminal needs to know more. Every text that is not ours goes through sh_safe_copy.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/amount.h"
#include "cli/output_form.h"
#include "cli/safe.h"

#define NAME_MAX_COLUMNS 24
#define BAR_CELLS        12
#define METER_CELLS      10
#define METER_LINE_MS    2000

/* ---- Lines ---- */

void sh_output_end_live(struct sh_output *out)
{
    if (!out->live)
        return;
    putc('\n', out->to.out);
    fflush(out->to.out);
    out->live = false;
    out->live_columns = 0;
}

SH_PRINTF(2, 3) static void say(struct sh_output *out, const char *format, ...)
{
    va_list args;
    sh_output_end_live(out);
    va_start(args, format);
    vfprintf(out->to.out, format, args);
    va_end(args);
    putc('\n', out->to.out);
    fflush(out->to.out);
}

static unsigned terminal_columns(const struct sh_output *out)
{
    struct winsize size = {0};
    if (out->to.columns)
        return out->to.columns;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

/* Puts a line in the place of the one that is being redrawn. The last column stays free: some terminals wrap there. */
static void redraw(struct sh_output *out, const char *line)
{
    char cut[512];
    unsigned columns = sh_safe_copy(cut, sizeof(cut), line, terminal_columns(out) - 1);
    unsigned blanks = out->live_columns > columns ? out->live_columns - columns : 0;
    fprintf(out->to.out, "\r%s%*s", cut, (int)blanks, "");
    fflush(out->to.out);
    out->live = true;
    out->live_columns = columns;
}

struct name {
    char text[256];
};

static struct name safe(const char *text)
{
    struct name name = {""};
    (void)sh_safe_copy(name.text, sizeof(name.text), text, UINT32_MAX);
    return name;
}

/* ---- Phases, code, links ---- */

static void phase(struct sh_output *out, enum sh_phase phase, const char *role, const char *peer)
{
    static const struct {
        const char *anchor, *secondary;
    } lines[] = {
        [SH_PHASE_NONE] = {"Ready", "Ready"},
        [SH_PHASE_DISCOVER] = {"Sharing; waiting for a device beside this one",
                               "Looking for a sharing device nearby"},
        [SH_PHASE_APPROACH] = {"A device is near", "Found one; hold the two devices side by side"},
        [SH_PHASE_CONNECT] = {"Connecting", "Connecting"},
        [SH_PHASE_MEASURE] = {"Measuring the distance; keep the devices together",
                              "Measuring the distance; keep the devices together"},
        [SH_PHASE_CONFIRM] = {"Confirming with a code", "Confirming with a code"},
        [SH_PHASE_ENROL] = {"Linking the devices", "Linking the devices"},
        [SH_PHASE_LINK] = {"Offering links", "Looking for the best link"},
        [SH_PHASE_TRANSFER] = {"Sending", "Receiving"},
        [SH_PHASE_INSTALL] = {"The other device installs", "Installing"},
        [SH_PHASE_LINKED] = {"Linked", "Linked"},
    };
    if ((unsigned)phase >= SH_COUNT(lines))
        return;
    const char *line = strcmp(role, "anchor") == 0 ? lines[phase].anchor : lines[phase].secondary;
    if (peer)
        say(out, "%s (%s)", line, safe(peer).text);
    else
        say(out, "%s", line);
}

static void code(struct sh_output *out, const char *digits, const char *peer)
{
    char spaced[32];
    size_t half = strlen(digits) / 2;
    snprintf(spaced, sizeof(spaced), "%.*s %s", (int)half, digits, digits + half);
    const char *terminal = getenv("TERM");
    bool bold = out->to.terminal && terminal && strcmp(terminal, "dumb") != 0;
    say(out, "\n%s    Code%s%s:  %s%s\n", bold ? "\033[1m" : "", peer ? " for " : "",
        peer ? safe(peer).text : "", spaced, bold ? "\033[0m" : "");
}

static void code_wanted(struct sh_output *out, const char *peer, unsigned attempt)
{
    struct name name = safe(peer ? peer : "the other device");
    if (attempt > 1)
        say(out, "Attempt %u. Type the code that %s shows now, then Enter:", attempt, name.text);
    else
        say(out, "Type the code that %s shows, then Enter:", name.text);
}

static void consent_wanted(struct sh_output *out, const char *what SH_UNUSED, const char *question)
{
    say(out, "%s\nType yes, then Enter:", question);
}

static void link_state(struct sh_output *out, const char *link, const char *state,
                       enum sh_cause cause)
{
    if (cause == SH_OK)
        say(out, "Link %s: %s", link, state);
    else
        say(out, "Link %s: %s (%s: %s)", link, state, sh_cause_info(cause)->name,
            sh_cause_info(cause)->message);
}

/* ---- The meter ---- */

/* All cells at 10 cm, half at 40 cm, two at one metre: each doubling of the distance costs 2.5 cells. */
static unsigned meter_cells(double metres)
{
    double cells = METER_CELLS - 2.5 * log2(fmax(metres, 0.1) / 0.1);
    return isfinite(cells) && cells > 0 ? (unsigned)lround(cells) : 0;
}

static const char *verdict(const struct sh_out_proximity *p)
{
    static const char *const words[] = {[SH_ADVICE_NONE] = "hold on",
                                        [SH_ADVICE_WAIT] = "no signal yet",
                                        [SH_ADVICE_HOLD] = "hold on",
                                        [SH_ADVICE_MOVE] = "move it a little",
                                        [SH_ADVICE_CLOSER] = "come closer"};
    if (p->accept)
        return "near";
    if (p->final)
        return "not near";
    return words[p->advice];
}

static void proximity(struct sh_output *out, const struct sh_out_proximity *p)
{
    static const char full[] = "##########", empty[] = "----------";
    char line[96], metres[24] = "  - ";
    unsigned cells = isnan(p->metres) ? 0 : meter_cells(p->metres);
    const char *word = verdict(p);
    if (!isnan(p->metres))
        snprintf(metres, sizeof(metres), "%.1f", fmin(p->metres, 99.9));
    snprintf(line, sizeof(line), "Distance  [%s%s]  %s m  %s", full + METER_CELLS - cells,
             empty + cells, metres, word);
    if (out->to.terminal) {
        redraw(out, line);
        if (p->final)
            sh_output_end_live(out);
        return;
    }
    sh_ms now = out->to.now(out->to.user);
    bool changed = !out->verdict || strcmp(out->verdict, word) != 0;
    if (!changed && !p->final && now - out->verdict_at < METER_LINE_MS)
        return;
    out->verdict = word;
    out->verdict_at = now;
    say(out, "%s", line);
}

/* ---- Progress ---- */

struct duration {
    char text[48];
};

static struct duration duration(double seconds)
{
    struct duration a;
    uint64_t s = seconds < 0 ? 0 : (uint64_t)fmin(seconds + 0.5, 8640000.0);
    if (s >= 3600)
        snprintf(a.text, sizeof(a.text), "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60),
                 (unsigned)(s % 60));
    else
        snprintf(a.text, sizeof(a.text), "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
    return a;
}

static unsigned percent(const struct sh_out_progress *p)
{
    if (p->verified >= p->total)
        return 100;
    unsigned percent = (unsigned)((double)p->verified * 100.0 / (double)p->total);
    return SH_MIN(percent, 99U); /* a double may round up, 100 is the end only */
}

/* "[#######>....]"; the arrow is the cell that is being filled. */
static void bar(char *out, unsigned percent, unsigned cells)
{
    unsigned full = percent * cells / 100;
    *out++ = '[';
    for (unsigned i = 0; i < cells; i++)
        *out++ = i < full ? '#' : i == full ? '>' : '.';
    *out++ = ']';
    *out = '\0';
}

static void progress_line(char *line, size_t size, const struct sh_out_progress *p,
                          unsigned columns)
{
    char name[NAME_MAX_COLUMNS * 4 + 1], link[NAME_MAX_COLUMNS * 4 + 1] = "", cells[BAR_CELLS + 3];
    char rate[64] = "", eta[64] = "", end[384];
    unsigned used = sh_safe_copy(name, sizeof(name), p->item, NAME_MAX_COLUMNS);
    if (isfinite(p->rate) && p->rate >= 1) {
        uint64_t octets = (uint64_t)fmin(p->rate, 1e18);
        snprintf(rate, sizeof(rate), "  %.*f %s/s",
                 sh_unit_of(octets).size > 1 && octets < 10485760,
                 p->rate / sh_unit_of(octets).size, sh_unit_of(octets).name);
    }
    if (p->link)
        (void)sh_safe_copy(link, sizeof(link), p->link, NAME_MAX_COLUMNS);
    if (isfinite(p->eta) && p->verified < p->total)
        snprintf(eta, sizeof(eta), "  %s", duration(p->eta).text);
    snprintf(end, sizeof(end), "%3u %%  %s of %s%s%s%s%s", percent(p),
             sh_amount(p->verified, p->total, false).text, sh_amount(p->total, p->total, true).text,
             rate, link[0] ? "  " : "", link, eta);
    size_t taken = used + strlen(end) + 5; /* and "  [", "] " */
    unsigned room = columns > taken ? (unsigned)(columns - taken) : 0;
    bar(cells, percent(p), room < 4 ? 4 : SH_MIN(room, (unsigned)BAR_CELLS));
    snprintf(line, size, "%s  %s %s", name, cells, end);
}

static void progress(struct sh_output *out, struct sh_tracked *item)
{
    char line[512];
    unsigned now = percent(&item->pending);
    if (out->to.terminal) {
        progress_line(line, sizeof(line), &item->pending, terminal_columns(out) - 1);
        redraw(out, line);
        if (item->complete)
            sh_output_end_live(out);
        return;
    }
    if (item->shown && now / 10 == item->step / 10)
        return;
    item->step = now;
    progress_line(line, sizeof(line), &item->pending, 100);
    say(out, "%s", line);
}

/* ---- Levels, notes and the end ---- */

static void calibration(struct sh_output *out, const char *peer, const struct sh_calibrated *level,
                        bool final)
{
    say(out, "%s%s: %.1f dBm, spread %.1f dB, %u samples in %u positions",
        final ? "At one metre, " : "So far, ", safe(peer).text, level->dbm, level->spread_db,
        level->samples, level->positions);
}

static void peer_calibration(struct sh_output *out, const char *peer,
                             const struct sh_calibrated *level, enum sh_cause cause)
{
    (void)cause; /* a note says it */
    if (level)
        say(out, "%s has kept its own level too: %.1f dBm", safe(peer).text, level->dbm);
}

static void note(struct sh_output *out, const char *text, enum sh_cause cause SH_UNUSED)
{
    char line[1024];
    (void)sh_safe_copy(line, sizeof(line), text, UINT32_MAX);
    say(out, "%s", line);
}

static void cause(struct sh_output *out, const struct sh_cause_info *info, const char *detail)
{
    (void)out; /* standard error has it */
    (void)info;
    (void)detail;
}

static void done(struct sh_output *out, const struct sh_out_done *done)
{
    uint64_t total = 0;
    for (size_t i = 0; i < done->item_count; i++)
        total += done->items[i].size;
    say(out, "Done: %zu item%s, %s in %.1f s", done->item_count, done->item_count == 1 ? "" : "s",
        sh_amount(total, total, true).text, done->seconds);
    for (size_t i = 0; i < done->item_count; i++) {
        const struct sh_out_item *item = &done->items[i];
        struct sh_amount size = sh_amount(item->size, item->size, true);
        if (item->path) {
            char path[4096]; /* safe() would cut it */
            (void)sh_safe_copy(path, sizeof(path), item->path, UINT32_MAX);
            say(out, "  %s  %s  -> %s", safe(item->name).text, size.text, path);
        } else {
            say(out, "  %s  %s", safe(item->name).text, size.text);
        }
    }
    for (size_t i = 0; i < done->link_count; i++) {
        if (done->links[i].bytes)
            say(out, "  over %s: %s", done->links[i].name,
                sh_amount(done->links[i].bytes, done->links[i].bytes, true).text);
    }
    if (done->resumed)
        say(out, "  %s of %s were here already", sh_amount(done->resumed, total, false).text,
            sh_amount(total, total, true).text);
}

const struct sh_output_form sh_output_form_text = {
    .phase = phase,
    .code = code,
    .code_wanted = code_wanted,
    .consent_wanted = consent_wanted,
    .proximity = proximity,
    .link = link_state,
    .progress = progress,
    .calibration = calibration,
    .peer_calibration = peer_calibration,
    .note = note,
    .cause = cause,
    .done = done,
};
