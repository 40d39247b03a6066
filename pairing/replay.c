/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/replay.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pairing/words.h"

#define TIME_MAX_S   UINT64_C(1000000000)
#define VALUE_MAX    INT64_C(1000000000000) /* beyond every time that counts */
#define DECIMALS_MAX 9

enum header { TX_POWER, REF1M, REF1M_PEER, HEADER_COUNT };

struct sh_replay {
    enum sh_proximity_rule rule;
    double header[HEADER_COUNT]; /* NAN: unknown */
    struct sh_level level[SH_SIDE_COUNT];
    struct sh_proximity *proximity; /* from the first sample on */
    bool asked, decided;
    sh_ms last; /* latest time of a sample since which nothing was asked */
    uint64_t line;
    char text[SH_REPLAY_LINE_MAX];
    size_t n;
};

struct sh_replay *sh_replay_new(enum sh_proximity_rule rule)
{
    struct sh_replay *replay = calloc(1, sizeof(*replay));
    if (!replay)
        return NULL;
    replay->rule = rule;
    for (size_t i = 0; i < HEADER_COUNT; i++)
        replay->header[i] = (double)NAN;
    return replay;
}

void sh_replay_free(struct sh_replay *replay)
{
    if (!replay)
        return;
    sh_proximity_free(replay->proximity);
    free(replay);
}

void sh_replay_freep(struct sh_replay **replay)
{
    sh_replay_free(*replay);
    *replay = NULL;
}

/* ---- Words and numbers: the C library's depend on the locale and want a NUL ---- */

/* Digits with at most one point among them, as an integer times 10^-*ret_decimals. */
static bool read_digits(struct sh_bytes word, int64_t *ret_value, unsigned *ret_decimals)
{
    int64_t value = 0;
    unsigned decimals = 0;
    bool point = false, any = false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        any = true;
        if (value > INT64_MAX / 10 - 1 || (point && decimals == DECIMALS_MAX))
            continue; /* changes nothing that is looked at */
        value = value * 10 + (word.p[i] - '0');
        decimals += point;
    }
    *ret_value = value;
    *ret_decimals = decimals;
    return any;
}

static bool is_word(struct sh_bytes word, const char *text)
{
    return word.n == strlen(text) && strncasecmp((const char *)word.p, text, word.n) == 0;
}

/* A decimal number, nan, inf or infinity, with or without a sign. */
static bool read_number(struct sh_bytes word, double *ret_value)
{
    int64_t value = 0;
    unsigned decimals = 0;
    bool minus = word.n > 0 && word.p[0] == '-';
    if (minus || (word.n > 0 && word.p[0] == '+'))
        word = (struct sh_bytes){word.p + 1, word.n - 1};
    if (is_word(word, "nan")) {
        *ret_value = (double)NAN;
        return true;
    }
    if (is_word(word, "inf") || is_word(word, "infinity")) {
        *ret_value = minus ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (!read_digits(word, &value, &decimals))
        return false;
    double number = (double)value;
    for (unsigned i = 0; i < decimals; i++)
        number /= 10.0;
    *ret_value = minus ? -number : number;
    return true;
}

/* Whole milliseconds, rounded down: what was decided is never later than what was heard. */
static bool read_time(struct sh_bytes word, sh_ms *ret_at)
{
    int64_t value = 0;
    unsigned decimals = 0;
    if (!read_digits(word, &value, &decimals))
        return false;
    for (; decimals > 3; decimals--)
        value /= 10;
    for (; decimals < 3 && value <= VALUE_MAX; decimals++)
        value *= 10;
    *ret_at = (sh_ms)value;
    return decimals == 3 && *ret_at <= TIME_MAX_S * 1000;
}

/* ---- Lines ---- */

static enum sh_cause bad(const struct sh_replay *replay, const char *what)
{
    return sh_fail(SH_USAGE_BAD_INPUT, "line %" PRIu64 ": %s", replay->line, what);
}

static enum sh_cause header_word(struct sh_replay *replay, struct sh_bytes word)
{
    static const char *const names[] = {
        [TX_POWER] = "tx_power_dbm", [REF1M] = "ref1m_dbm", [REF1M_PEER] = "ref1m_peer_dbm"};
    const uint8_t *equals = word.n > 0 ? memchr(word.p, '=', word.n) : NULL;
    if (!equals)
        return SH_OK;
    struct sh_bytes name = {word.p, (size_t)(equals - word.p)};
    struct sh_bytes value = {equals + 1, word.n - name.n - 1};
    for (size_t i = 0; i < HEADER_COUNT; i++) {
        if (!is_word(name, names[i]))
            continue;
        if (replay->proximity)
            return bad(replay, "what is known of the levels stands before the first sample");
        if (!read_number(value, &replay->header[i]))
            return bad(replay, "a level in dBm or nan is wanted behind the =");
    }
    return SH_OK;
}

static enum sh_cause comment(struct sh_replay *replay, struct sh_bytes line)
{
    for (struct sh_bytes word = sh_next_word(&line); word.n > 0; word = sh_next_word(&line))
        SH_TRY(header_word(replay, word));
    return SH_OK;
}

static enum sh_cause begin(struct sh_replay *replay)
{
    double stated = replay->header[TX_POWER] - SH_TX_TO_1M_DB;
    replay->level[SH_SIDE_OURS] = sh_level_best(replay->header[REF1M], stated);
    replay->level[SH_SIDE_THEIRS] = sh_level_best(replay->header[REF1M_PEER], stated);
    struct sh_proximity_config config = {.use = SH_PROXIMITY_MEASURE, .rule = replay->rule};
    memcpy(config.level, replay->level, sizeof(config.level));
    replay->proximity = sh_proximity_new(&config);
    return replay->proximity ? SH_OK : SH_ENV_NO_MEMORY;
}

/* Asked once for each time that samples have, when all of it are in: as a session's tick would. */
static void ask(struct sh_replay *replay)
{
    struct sh_proximity_estimate estimate = sh_proximity_at(replay->proximity, replay->last);
    replay->asked = true;
    replay->decided = estimate.verdict != SH_PROXIMITY_UNDECIDED;
}

static void add(struct sh_replay *replay, sh_ms at, double dbm, enum sh_proximity_side side)
{
    if (at > replay->last && !replay->asked)
        ask(replay);
    if (replay->decided)
        return;
    struct sh_proximity_sample sample = {.at = at,
                                         .dbm = SH_RSSI_NONE,
                                         .channel = SH_CHANNEL_UNKNOWN,
                                         .source = SH_SOURCE_CONNECTION,
                                         .side = side};
    if (fabs(dbm) < SH_RSSI_NONE) /* false for NAN */
        sample.dbm = (int)lround(dbm);
    sh_proximity_add(replay->proximity, &sample);
    replay->last = SH_MAX(replay->last, at);
    replay->asked = false;
}

static enum sh_cause sample_line(struct sh_replay *replay, struct sh_bytes line)
{
    sh_ms at = 0;
    double dbm = 0.0;
    struct sh_bytes time = sh_next_word(&line), level = sh_next_word(&line),
                    side = sh_next_word(&line);
    if (sh_next_word(&line).n > 0 || side.n != 1 || (side.p[0] != 'L' && side.p[0] != 'R'))
        return bad(replay, "seconds, dBm and L or R are wanted");
    if (!read_time(time, &at))
        return bad(replay, "the time is no number of seconds from 0 to 1000000000");
    if (!read_number(level, &dbm))
        return bad(replay, "the signal strength is no number");
    if (!replay->proximity)
        SH_TRY(begin(replay));
    add(replay, at, dbm, side.p[0] == 'L' ? SH_SIDE_OURS : SH_SIDE_THEIRS);
    return SH_OK;
}

static enum sh_cause one_line(struct sh_replay *replay, struct sh_bytes line)
{
    replay->line++;
    struct sh_bytes rest = line, word = sh_next_word(&rest);
    if (word.n == 0)
        return SH_OK;
    return word.p[0] == '#'
               ? comment(replay, SH_BYTES(word.p + 1, line.n - (size_t)(word.p + 1 - line.p)))
               : sample_line(replay, line);
}

/* ---- The stream ---- */

static enum sh_cause keep(struct sh_replay *replay, struct sh_bytes part)
{
    if (part.n > sizeof(replay->text) - replay->n) {
        replay->line++;
        return bad(replay, "the line is too long");
    }
    if (part.n > 0)
        memcpy(replay->text + replay->n, part.p, part.n);
    replay->n += part.n;
    return SH_OK;
}

enum sh_cause sh_replay_rx(struct sh_replay *replay, struct sh_bytes bytes)
{
    while (bytes.n > 0) {
        const uint8_t *newline = memchr(bytes.p, '\n', bytes.n);
        struct sh_bytes part = {bytes.p, newline ? (size_t)(newline - bytes.p) : bytes.n};
        size_t used = part.n + (newline ? 1 : 0);
        if (!newline || replay->n > 0 || part.n > sizeof(replay->text)) {
            SH_TRY(keep(replay, part));
            part = SH_BYTES(replay->text, replay->n);
        }
        if (newline) {
            replay->n = 0;
            SH_TRY(one_line(replay, part));
        }
        bytes = (struct sh_bytes){bytes.p + used, bytes.n - used};
    }
    return SH_OK;
}

enum sh_cause sh_replay_end(struct sh_replay *replay, struct sh_replay_result *ret_result)
{
    size_t n = replay->n;
    replay->n = 0;
    if (n > 0)
        SH_TRY(one_line(replay, SH_BYTES(replay->text, n)));
    if (!replay->proximity)
        SH_TRY(begin(replay));
    ret_result->estimate = sh_proximity_finish(replay->proximity);
    ret_result->level = replay->level[SH_SIDE_OURS];
    ret_result->decided_at = sh_proximity_decided_at(replay->proximity);
    ret_result->margin_db = sh_proximity_margin(&ret_result->estimate);
    return SH_OK;
}
