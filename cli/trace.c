/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/trace.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXACT_MAX   (INT64_C(1) << 53) /* a number of JSON holds it exactly */
#define SESSION_MAX 1000000
#define MONTHS_MS   (INT64_C(100) * 24 * 3600 * 1000)
#define CENTI_DB    20000
#define LAST(words) ((int64_t)SH_COUNT(words) - 1)
#define END_OF_FIELDS                                                                              \
    {                                                                                              \
        0                                                                                          \
    }

enum type { NUMBER, MAYBE, FLAG, CAUSE, WORD };

struct field {
    const char *name; /* NULL: no more */
    enum type type;
    int64_t least, most;
    const char *const *words;
};

static const char *const roles[] = {"anchor", "secondary"};
static const char *const radios[] = {"bluez", "sim"};
static const char *const policies[] = {"normal", "strict", "off-with-consent"};
static const char *const links[] = {"none", "ble", "lan", "wifi-direct"};
static const char *const phases[] = {"none",     "discover", "approach", "connect",
                                     "measure",  "confirm",  "enrol",    "link",
                                     "transfer", "install",  "linked"};
static const char *const stages[] = {"handshake", "judge",  "enrol", "calibrate",
                                     "transfer",  "linger", "over"};
static const char *const levels[] = {"assumed", "stated", "calibrated"};
static const char *const rules[] = {"normal", "strict"};
static const char *const verdicts[] = {"undecided", "accept", "reject"};
static const char *const parties[] = {"here", "peer", "person"};
static const char *const states[] = {"up", "down", "failed"};
static const char *const path_phases[] = {"none", "connect", "probe", "run"};
static const char *const answers[] = {"silence", "reset", "icmp"};
static const char *const neighbours[] = {"unknown", "there", "silent"};
static const char *const routes[] = {"unknown", "ours", "stolen"};

#define N(name, least, most)                                                                       \
    {                                                                                              \
        name, NUMBER, least, most, NULL                                                            \
    }
#define M(name, least, most)                                                                       \
    {                                                                                              \
        name, MAYBE, least, most, NULL                                                             \
    }
#define F(name)                                                                                    \
    {                                                                                              \
        name, FLAG, 0, 1, NULL                                                                     \
    }
#define C(name)                                                                                    \
    {                                                                                              \
        name, CAUSE, 0, SH_CAUSE_COUNT - 1, NULL                                                   \
    }
#define W(name, words)                                                                             \
    {                                                                                              \
        name, WORD, 0, LAST(words), words                                                          \
    }
#define LINK    W("link", links)
#define ATTEMPT N("attempt", 0, 1000000000)

static const struct kind {
    const char *name;
    struct field fields[SH_TRACE_VALUES + 1];
} kinds[] = {
    [SH_TRACE_RUN] = {"run",
                      {W("role", roles), N("at", 0, EXACT_MAX), N("major", 0, 9999),
                       N("minor", 0, 9999), N("patch", 0, 9999), W("radio", radios),
                       W("policy", policies), F("pair"), F("calibrate")}},
    [SH_TRACE_END] = {"end", {C("cause")}},
    [SH_TRACE_PHASE] = {"phase", {W("phase", phases)}},
    [SH_TRACE_FULL] = {"full", {END_OF_FIELDS}},
    [SH_TRACE_LOST] = {"lost", {N("lines", 0, EXACT_MAX)}},
    [SH_TRACE_ABSENT] = {"absent", {N("ms", 0, MONTHS_MS)}},
    [SH_TRACE_SLEPT] = {"slept", {N("ms", 0, MONTHS_MS)}},
    [SH_TRACE_LOOK] = {"look", {END_OF_FIELDS}},
    [SH_TRACE_SEARCH] = {"search", {F("far")}},
    [SH_TRACE_PASSED] = {"passed", {N("senders", 0, EXACT_MAX), N("heard", 0, EXACT_MAX)}},
    [SH_TRACE_HEARD] = {"heard",
                        {N("from", 1, 1000000), N("dbm", -128, 127), N("power_db", -128, 127),
                         M("stated", -CENTI_DB, CENTI_DB), M("known", -CENTI_DB, CENTI_DB),
                         F("linked")}},
    [SH_TRACE_PICK] = {"pick", {N("from", 1, 1000000)}},
    [SH_TRACE_SEARCH_OVER] = {"search-over", {C("cause")}},
    [SH_TRACE_CONNECT] = {"connect", {N("try", 0, 1000)}},
    [SH_TRACE_UNCONNECTED] = {"unconnected", {C("cause")}},
    [SH_TRACE_SESSION] = {"session", {F("direct"), F("returning")}},
    [SH_TRACE_STAGE] = {"stage", {W("stage", stages)}},
    [SH_TRACE_MEASURE] = {"measure",
                          {N("level", -CENTI_DB, CENTI_DB), W("level_kind", levels),
                           W("rule", rules), F("optional")}},
    [SH_TRACE_RSSI] = {"rssi", {N("dbm", -128, 127)}},
    [SH_TRACE_DISTANCE] = {"distance", {N("mm", 0, 10000000), N("sd_mm", 0, 10000000)}},
    [SH_TRACE_MEASURED] = {"measured",
                           {W("verdict", verdicts), M("cm", 0, 100000000), N("confidence", 0, 100),
                            N("samples", 0, 1000000)}},
    [SH_TRACE_CODE] = {"code", {N("run", 0, 1000)}},
    [SH_TRACE_THEIRS] = {"theirs",
                         {N("level", -CENTI_DB, CENTI_DB), W("level_kind", levels),
                          N("rate", 0, 1000000000), N("count", 0, 100000)}},
    [SH_TRACE_PEER] = {"peer", {N("ms", 0, UINT16_MAX), N("dbm", -128, 127), N("channel", 0, 255)}},
    [SH_TRACE_JUDGED] = {"judged",
                         {M("score", -CENTI_DB, CENTI_DB), M("asymmetry", -CENTI_DB, CENTI_DB),
                          F("stepped"), F("unheard"), F("demanded"), C("cause")}},
    [SH_TRACE_ENDED] = {"ended", {C("cause"), W("by", parties)}},
    [SH_TRACE_TRANSFER] = {"transfer",
                           {N("chance", 0, UINT16_MAX), W("link1", links), W("link2", links),
                            W("link3", links)}},
    [SH_TRACE_ITEMS] = {"items",
                        {N("count", 0, 100000), N("octets", 0, EXACT_MAX),
                         N("resumed", 0, EXACT_MAX)}},
    [SH_TRACE_OFFER] = {"offer", {LINK, N("tag", 0, 1000000000), N("v6", 0, 64), N("v4", 0, 64)}},
    [SH_TRACE_OFFERS] = {"offers", {END_OF_FIELDS}},
    [SH_TRACE_NETWORK] = {"network", {END_OF_FIELDS}},
    [SH_TRACE_DIAL] = {"dial", {ATTEMPT, LINK, F("v6"), N("segment", 0, 65535)}},
    [SH_TRACE_ATTEMPT_UP] = {"attempt-up", {ATTEMPT, LINK}},
    [SH_TRACE_PATH] = {"path",
                       {LINK, C("cause"), C("verdict"), W("phase", path_phases),
                        N("error", 0, 4095), N("after", 0, MONTHS_MS), W("answer", answers),
                        W("neighbour", neighbours), W("route", routes), N("acked", 0, EXACT_MAX),
                        N("unacked", 0, UINT32_MAX), F("closed"), F("zero_window"),
                        F("small_answered"), F("pings_answered"), N("mute", 0, MONTHS_MS)}},
    [SH_TRACE_VIEW] = {"view", {LINK, F("listening"), N("connections", 0, UINT32_MAX)}},
    [SH_TRACE_ATTEMPT_DOWN] = {"attempt-down", {ATTEMPT, C("cause")}},
    [SH_TRACE_LINK] = {"link", {LINK, W("state", states), C("cause")}},
    [SH_TRACE_CARRIES] = {"carries", {N("id", 0, UINT32_MAX), LINK, F("up"), C("cause")}},
    [SH_TRACE_EXPECT] = {"expect", {N("ms", 0, MONTHS_MS)}},
    [SH_TRACE_MOVED] = {"moved",
                        {N("octets", 0, EXACT_MAX), N("left", 0, EXACT_MAX),
                         N("more", 0, MONTHS_MS)}},
    [SH_TRACE_OVER] = {"over", {C("cause")}},
    [SH_TRACE_OCTETS] = {"octets", {LINK, N("octets", 0, EXACT_MAX)}},
};
static_assert(SH_COUNT(kinds) == SH_TRACE_KINDS, "a row for each kind");

size_t sh_trace_count(enum sh_trace_kind kind)
{
    size_t n = 0;
    while (kinds[kind].fields[n].name)
        n++;
    return n;
}

const char *sh_trace_name(enum sh_trace_kind kind)
{
    return kinds[kind].name;
}

/* ---- Out ---- */

static int64_t clamp(int64_t value, const struct field *field)
{
    return SH_MAX(field->least, SH_MIN(field->most, value));
}

static int put(const struct field *field, int64_t value, char *out, size_t size)
{
    if (field->type == MAYBE && value == SH_TRACE_NONE)
        return snprintf(out, size, ",\"%s\":null", field->name);
    value = clamp(value, field);
    if (field->type == FLAG)
        return snprintf(out, size, ",\"%s\":%s", field->name, value ? "true" : "false");
    if (field->type == WORD)
        return snprintf(out, size, ",\"%s\":\"%s\"", field->name, field->words[value]);
    if (field->type == CAUSE)
        return snprintf(out, size, ",\"%s\":\"%s\"", field->name,
                        value == SH_OK ? "ok" : sh_cause_info((enum sh_cause)value)->name);
    return snprintf(out, size, ",\"%s\":%" PRId64, field->name, value);
}

size_t sh_trace_encode(const struct sh_trace_record *record, char out[SH_TRACE_LINE_MAX + 1])
{
    const struct field *field = kinds[record->kind].fields;
    sh_ms at = SH_MIN(record->at, SH_TRACE_TIME_MAX);
    size_t size = SH_TRACE_LINE_MAX - 1; /* room for the end */
    size_t n = (size_t)snprintf(out, size, "{\"e\":\"%s\",\"t\":%" PRIu64 ".%03u",
                                kinds[record->kind].name, at / 1000, (unsigned)(at % 1000));
    if (record->session > 0)
        n += (size_t)snprintf(out + n, size - n, ",\"s\":%u",
                              SH_MIN(record->session, (unsigned)SESSION_MAX));
    for (size_t i = 0; field[i].name && n < size; i++)
        n += (size_t)put(&field[i], record->v[i], out + n, size - n);
    n = SH_MIN(n, size - 1); /* not reached: the longest line fits, as a test says */
    memcpy(out + n, "}\n", 3);
    return n + 2;
}

/* ---- In ---- */

static bool whole_number(const cJSON *value, double least, double most, int64_t *ret)
{
    if (!cJSON_IsNumber(value) || !(value->valuedouble >= least && value->valuedouble <= most) ||
        floor(value->valuedouble) < value->valuedouble)
        return false;
    *ret = (int64_t)value->valuedouble;
    return true;
}

static bool cause_value(const cJSON *value, int64_t *ret)
{
    if (!cJSON_IsString(value))
        return false;
    for (int i = 1; i < SH_CAUSE_COUNT; i++) {
        if (strcmp(sh_cause_info((enum sh_cause)i)->name, value->valuestring) == 0) {
            *ret = i;
            return true;
        }
    }
    *ret = SH_OK;
    return strcmp(value->valuestring, "ok") == 0;
}

static bool word_value(const cJSON *value, const struct field *field, int64_t *ret)
{
    for (int64_t i = 0; cJSON_IsString(value) && i <= field->most; i++) {
        if (strcmp(field->words[i], value->valuestring) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool get(const cJSON *value, const struct field *field, int64_t *ret)
{
    switch (field->type) {
    case FLAG:
        *ret = cJSON_IsTrue(value);
        return cJSON_IsBool(value);
    case WORD:
        return word_value(value, field, ret);
    case CAUSE:
        return cause_value(value, ret);
    case MAYBE:
        *ret = SH_TRACE_NONE;
        if (cJSON_IsNull(value))
            return true;
        break;
    case NUMBER:
        break;
    }
    return whole_number(value, (double)field->least, (double)field->most, ret);
}

/* cJSON takes names for the same whatever their case; a record does not. */
static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool read_head(const cJSON *object, struct sh_trace_record *record, const char **ret_why)
{
    const cJSON *at = member(object, "t"), *session = member(object, "s");
    int64_t number = 0;
    *ret_why = "t";
    if (!cJSON_IsNumber(at) ||
        !(at->valuedouble >= 0.0 && at->valuedouble <= (double)SH_TRACE_TIME_MAX / 1000.0))
        return false;
    record->at = (sh_ms)llround(at->valuedouble * 1000.0);
    *ret_why = "s";
    if (session && !whole_number(session, 0.0, SESSION_MAX, &number))
        return false;
    record->session = (unsigned)number;
    return true;
}

static enum sh_trace_line read_object(const cJSON *object, struct sh_trace_record *ret_record,
                                      const char **ret_why)
{
    struct sh_trace_record record = {.kind = SH_TRACE_RUN};
    const cJSON *name = member(object, "e");
    size_t kind = 0;
    if (!cJSON_IsObject(object)) {
        *ret_why = "not an object of JSON";
        return SH_LINE_BAD;
    }
    if (!cJSON_IsString(name))
        return SH_LINE_OTHER;
    while (kind < SH_COUNT(kinds) && strcmp(kinds[kind].name, name->valuestring) != 0)
        kind++;
    if (kind == SH_COUNT(kinds))
        return SH_LINE_OTHER;
    record.kind = (enum sh_trace_kind)kind;
    if (!read_head(object, &record, ret_why))
        return SH_LINE_BAD;
    for (size_t i = 0; kinds[kind].fields[i].name; i++) {
        const struct field *field = &kinds[kind].fields[i];
        if (!get(member(object, field->name), field, &record.v[i])) {
            *ret_why = field->name;
            return SH_LINE_BAD;
        }
    }
    *ret_record = record;
    return SH_LINE_RECORD;
}

enum sh_trace_line sh_trace_decode(struct sh_bytes line, struct sh_trace_record *ret_record,
                                   const char **ret_why)
{
    const char *end = NULL;
    *ret_why = "not an object of JSON";
    if (line.n == 0 || line.n >= SH_TRACE_LINE_MAX)
        return SH_LINE_BAD;
    char text[SH_TRACE_LINE_MAX + 1];
    memcpy(text, line.p, line.n);
    text[line.n] = '\0';
    cJSON *object = cJSON_ParseWithOpts(text, &end, true);
    if (!object || end != text + line.n) {
        cJSON_Delete(object);
        return SH_LINE_BAD;
    }
    enum sh_trace_line kind = read_object(object, ret_record, ret_why);
    cJSON_Delete(object);
    return kind;
}
