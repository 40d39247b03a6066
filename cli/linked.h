/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The anchors that this device is linked to, and which of them an advertisement is of.
 */
#ifndef SIMHOP_CLI_LINKED_H
#define SIMHOP_CLI_LINKED_H

#include "cli/edge.h"
#include "crypto/identity.h"
#include "pairing/registry.h"

struct sh_linked {
    struct sh_device *devices; /* malloc'ed */
    size_t count;
};

/* Those whose token still holds at this time (seconds since 1970). Fails as the registry does. */
SH_MUST_USE enum sh_cause sh_linked_load(struct sh_registry *registry, int64_t now,
                                         struct sh_linked *ret_linked);
void sh_linked_clear(struct sh_linked *linked);

/* Keeps only the one of this id, if it is there. */
void sh_linked_only(struct sh_linked *linked, const uint8_t id[SH_DEVICE_ID_SIZE]);

/* NULL: of none of them. */
const struct sh_device *sh_linked_resolve(const struct sh_device *devices, size_t count,
                                          const uint8_t id[SH_ROTATING_ID_SIZE]);

/* Is there one of this name? NULL asks for none. Fails with linked.unknown. */
SH_MUST_USE enum sh_cause sh_linked_check(const struct sh_linked *linked, const char *name);

/* The level at one metre, in dBm, that was calibrated for this one and the adapter in use; NAN for none. Whatever is wrong
 * with the registry ends a session where it is needed: here it only makes the rule stricter. */
double sh_linked_level(struct sh_registry *registry, const struct sh_edge *edge,
                       const struct sh_device *linked);

#endif
