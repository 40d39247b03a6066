/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/policy.h"

#include <string.h>

#include "pairing/words.h"

#define LINE_MAX_OCTETS 512

static const struct {
    const char *name;
    unsigned strength;
} policies[] = {
    [SH_POLICY_NORMAL] = {"normal", 1},
    [SH_POLICY_STRICT] = {"strict", 2},
    [SH_POLICY_OFF] = {"off-with-consent", 0},
};

const char *sh_policy_name(enum sh_proximity_policy policy)
{
    return policies[policy].name;
}

enum sh_proximity_rule sh_policy_rule(enum sh_proximity_policy policy)
{
    return policy == SH_POLICY_STRICT ? SH_PROXIMITY_STRICT : SH_PROXIMITY_NORMAL;
}

static bool find(struct sh_bytes word, enum sh_proximity_policy *ret_policy)
{
    for (size_t i = 0; i < SH_COUNT(policies); i++) {
        if (sh_word_is(word, policies[i].name)) {
            *ret_policy = (enum sh_proximity_policy)i;
            return true;
        }
    }
    return false;
}

/* ---- The file ---- */

static enum sh_cause bad(unsigned number, const char *what)
{
    return sh_fail(SH_USAGE_BAD_CONFIG, "line %u: %s", number, what);
}

static enum sh_cause read_line(struct sh_bytes line, unsigned number,
                               struct sh_policy_limits *limits)
{
    if (line.n > LINE_MAX_OCTETS)
        return bad(number, "the line is too long");
    struct sh_bytes word = sh_next_word(&line), value = sh_next_word(&line);
    if (word.n == 0 || word.p[0] == '#')
        return SH_OK;
    if (!sh_word_is(word, "proximity-least"))
        return bad(number, "there is no such key; this version has proximity-least");
    if (limits->has_least)
        return bad(number, "proximity-least stands there twice");
    if (!find(value, &limits->least) || limits->least == SH_POLICY_OFF || sh_next_word(&line).n > 0)
        return bad(number, "proximity-least is normal or strict");
    limits->has_least = true;
    return SH_OK;
}

enum sh_cause sh_policy_read(struct sh_bytes file, struct sh_policy_limits *ret_limits)
{
    struct sh_policy_limits limits = {0};
    for (unsigned number = 1; file.n > 0; number++) {
        const uint8_t *newline = memchr(file.p, '\n', file.n);
        size_t n = newline ? (size_t)(newline - file.p) : file.n;
        SH_TRY(read_line(SH_BYTES(file.p, n), number, &limits));
        n += newline ? 1 : 0;
        file = (struct sh_bytes){file.p + n, file.n - n};
    }
    *ret_limits = limits;
    return SH_OK;
}

/* ---- The choice ---- */

enum sh_cause sh_policy_choose(const char *wish, const struct sh_policy_limits *limits,
                               enum sh_proximity_policy *ret_policy)
{
    enum sh_proximity_policy policy = limits->has_least ? limits->least : SH_POLICY_NORMAL;
    if (wish) {
        if (!find(SH_BYTES(wish, strlen(wish)), &policy))
            return sh_fail(SH_USAGE_BAD_OPTION,
                           "--proximity %s: strict, normal or off-with-consent is wanted", wish);
        if (limits->has_least && policies[policy].strength < policies[limits->least].strength)
            return sh_fail(SH_REFUSED_POLICY, "--proximity %s: at least %s is wanted here", wish,
                           policies[limits->least].name);
    }
    *ret_policy = policy;
    return SH_OK;
}
