/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/air_parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"

#define LINE_MAX_LEN 255
#define WORDS_MAX    5
#define RATE_MAX     UINT64_C(100000000000)
#define OCTETS_MAX   (UINT64_C(1) << 62)
#define DELAY_MAX_MS 600000

static const char message_prefix[] = "message:";

struct line {
    char text[LINE_MAX_LEN + 1];
    char *word[WORDS_MAX];
    size_t words;
};

/* false for a line that is too long, has too many words or octets that are not printable. */
static bool split(struct sh_bytes bytes, struct line *line)
{
    line->words = 0;
    if (bytes.n > LINE_MAX_LEN)
        return false;
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t c = bytes.p[i];
        if (c == '\t' || c == '\r')
            c = ' ';
        if (c < ' ' || c == 0x7f)
            return false;
        line->text[i] = (char)c;
    }
    line->text[bytes.n] = '\0';
    char *rest = NULL;
    for (char *word = strtok_r(line->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (line->words == WORDS_MAX)
            return false;
        line->word[line->words++] = word;
    }
    return true;
}

typedef bool (*line_fn)(const struct line *line, void *out);

static void each_line(struct sh_bytes text, line_fn take, void *out, sh_air_bad_line_fn bad,
                      void *user)
{
    for (size_t at = 0; at < text.n;) {
        const uint8_t *start = text.p + at;
        const uint8_t *end = memchr(start, '\n', text.n - at);
        size_t n = end ? (size_t)(end - start) : text.n - at;
        at += n + 1;
        struct line line;
        bool good = split(SH_BYTES(start, n), &line);
        if (good && (line.words == 0 || line.word[0][0] == '#'))
            continue;
        if (!good || !take(&line, out))
            bad(SH_BYTES(start, n), user);
    }
}

static bool parse_double(const char *word, double min, double max, double *ret_value)
{
    char *end = NULL;
    double value = strtod(word, &end);
    /* Written so that NAN fails it. */
    if (end == word || *end != '\0' || !(value >= min && value <= max))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_u64(const char *word, uint64_t max, uint64_t *ret_value)
{
    if (word[0] < '0' || word[0] > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(word, &end, 10);
    if (errno != 0 || *end != '\0' || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_unsigned(const char *word, uint64_t min, uint64_t max, unsigned *ret_value)
{
    uint64_t value = 0;
    if (!parse_u64(word, max, &value) || value < min)
        return false;
    *ret_value = (unsigned)value;
    return true;
}

bool sh_sim_name_ok(const char *name, size_t n)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_.";
    if (n == 0 || n > SH_SIM_NAME_MAX || name[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '\0' || !strchr(allowed, name[i]))
            return false;
    }
    return true;
}

/* ---- positions ---- */

static bool take_position(const struct line *line, void *out)
{
    struct sh_air_positions *positions = out;
    struct sh_position at;
    if (line->words != 3 || !sh_sim_name_ok(line->word[0], strlen(line->word[0])) ||
        !parse_double(line->word[1], -SH_AIR_METRE_MAX, SH_AIR_METRE_MAX, &at.x) ||
        !parse_double(line->word[2], -SH_AIR_METRE_MAX, SH_AIR_METRE_MAX, &at.y))
        return false;
    size_t i = 0;
    while (i < positions->count && strcmp(positions->device[i].name, line->word[0]) != 0)
        i++;
    if (i == SH_AIR_DEVICES)
        return false;
    struct sh_air_position *device = &positions->device[i];
    if (!sh_strcopy(device->name, sizeof(device->name), line->word[0]))
        return false;
    device->at = at;
    positions->count = SH_MAX(positions->count, i + 1);
    return true;
}

void sh_air_parse_positions(struct sh_bytes text, sh_air_bad_line_fn bad, void *user,
                            struct sh_air_positions *positions)
{
    positions->count = 0;
    each_line(text, take_position, positions, bad, user);
}

/* ---- air ---- */

static bool take_air(const struct line *line, void *out)
{
    struct sh_air *air = out;
    if (line->words != 2)
        return false;
    const char *key = line->word[0];
    const char *value = line->word[1];
    const struct {
        const char *key;
        double min, max;
        double *place;
    } numbers[] = {
        {"exponent", 0.0, 10.0, &air->exponent}, {"tx1m", -110.0, 20.0, &air->tx1m_dbm},
        {"shadow", 0.0, 30.0, &air->shadow_db},  {"fade", 0.0, 30.0, &air->fade_db},
        {"sigma", 0.0, 30.0, &air->sigma_db},
    };
    for (size_t i = 0; i < SH_COUNT(numbers); i++) {
        if (strcmp(key, numbers[i].key) == 0)
            return parse_double(value, numbers[i].min, numbers[i].max, numbers[i].place);
    }
    if (strcmp(key, "seed") == 0)
        return parse_u64(value, UINT64_MAX, &air->seed);
    if (strcmp(key, "interval") == 0)
        return parse_unsigned(value, 10, 10240, &air->interval_ms);
    if (strcmp(key, "sample") == 0)
        return parse_unsigned(value, 5, 1000, &air->sample_ms);
    if (strcmp(key, "ble_rate") == 0)
        return parse_u64(value, RATE_MAX, &air->ble_rate);
    if (strcmp(key, "lan_rate") == 0)
        return parse_u64(value, RATE_MAX, &air->lan_rate);
    return false;
}

void sh_air_parse_air(struct sh_bytes text, sh_air_bad_line_fn bad, void *user, struct sh_air *air)
{
    *air = sh_air_default;
    each_line(text, take_air, air, bad, user);
}

/* ---- faults ---- */

static struct sh_fault *find_target(struct sh_air_faults *faults, const char *word)
{
    static const char *const names[SH_FAULT_TARGETS] = {
        [SH_FAULT_BLE] = "ble",
        [SH_FAULT_LAN] = "lan",
        [SH_FAULT_ADVERT] = "advert",
        [SH_FAULT_CONNECT] = "connect",
    };
    for (size_t i = 0; i < SH_FAULT_TARGETS; i++) {
        if (strcmp(word, names[i]) == 0)
            return &faults->target[i];
    }
    size_t prefix = strlen(message_prefix);
    if (strncmp(word, message_prefix, prefix) != 0)
        return NULL;
    unsigned type = sh_msg_by_name(word + prefix);
    return type > 0 && type < SH_AIR_MESSAGES ? &faults->message[type] : NULL;
}

/* The optional `after N` of cut and blackhole. */
static bool parse_after(const struct line *line, uint64_t *ret_after)
{
    if (line->words == 2) {
        *ret_after = 0;
        return true;
    }
    return line->words == 4 && strcmp(line->word[2], "after") == 0 &&
           parse_u64(line->word[3], OCTETS_MAX, ret_after);
}

static bool take_fault(const struct line *line, void *out)
{
    if (line->words < 2)
        return false;
    const char *what = line->word[0];
    struct sh_fault *fault = find_target(out, line->word[1]);
    if (!fault)
        return false;
    if (strcmp(what, "cut") == 0) {
        if (!parse_after(line, &fault->cut_after))
            return false;
        fault->cut = true;
        return true;
    }
    if (strcmp(what, "blackhole") == 0) {
        if (!parse_after(line, &fault->blackhole_after))
            return false;
        fault->blackhole = true;
        return true;
    }
    if (line->words != 3)
        return false;
    if (strcmp(what, "delay") == 0)
        return parse_unsigned(line->word[2], 0, DELAY_MAX_MS, &fault->delay_ms);
    if (strcmp(what, "rate") == 0)
        return parse_u64(line->word[2], RATE_MAX, &fault->rate);
    double percent = 0.0;
    if (strcmp(what, "drop") != 0 || !parse_double(line->word[2], 0.0, 100.0, &percent))
        return false;
    fault->drop = percent / 100.0;
    return true;
}

void sh_air_parse_faults(struct sh_bytes text, sh_air_bad_line_fn bad, void *user,
                         struct sh_air_faults *faults)
{
    *faults = (struct sh_air_faults){0};
    each_line(text, take_fault, faults, bad, user);
}
