/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How much nearness is asked for: what a person says with --proximity, and the least that whoever set up the machine
 * allows, in a file of lines `KEY VALUE`:
 *
 *   # at most 64 KiB; comments and blank lines are fine
 *   proximity-least strict
 *
 * With it a weaker wish is refused, and no wish becomes the least. An engine: the file's bytes come in.
 */
#ifndef SIMHOP_PAIRING_POLICY_H
#define SIMHOP_PAIRING_POLICY_H

#include "pairing/proximity.h"

/* From the least to the most is OFF, NORMAL, STRICT; the numbers stand in registries. */
enum sh_proximity_policy {
    SH_POLICY_NORMAL = 0,
    SH_POLICY_STRICT = 1,
    SH_POLICY_OFF = 2, /* measured and told, but not asked for; a person agrees before */
};

/* "normal", "strict", "off-with-consent". */
const char *sh_policy_name(enum sh_proximity_policy policy);
enum sh_proximity_rule sh_policy_rule(enum sh_proximity_policy policy);

struct sh_policy_limits {
    bool has_least;
    enum sh_proximity_policy least; /* not OFF */
};

/* Fails with usage.bad-config (the detail has the number of the line). */
SH_MUST_USE enum sh_cause sh_policy_read(struct sh_bytes file, struct sh_policy_limits *ret_limits);

/* wish: the word behind --proximity, NULL for none. Fails with usage.bad-option, refused.policy. */
SH_MUST_USE enum sh_cause sh_policy_choose(const char *wish, const struct sh_policy_limits *limits,
                                           enum sh_proximity_policy *ret_policy);

#endif
