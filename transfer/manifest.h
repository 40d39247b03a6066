/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest that an anchor answers with: what there is to pull, made of its items. docs/protocol.md says what stands in it.
 */
#ifndef SIMHOP_TRANSFER_MANIFEST_H
#define SIMHOP_TRANSFER_MANIFEST_H

#include "transfer/item.h"

struct sh_manifest {
    Simhop__Manifest message; /* strings and ids stay the items' */
    Simhop__Item *items;
    Simhop__Item **list;
};

/* items and transfer_id are borrowed for as long as the message is used. The result to be cleared whatever comes. Fails with
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_manifest_make(struct sh_item *const *items, size_t count,
                                           const uint8_t transfer_id[16],
                                           struct sh_manifest *ret_manifest);
void sh_manifest_clear(struct sh_manifest *manifest);

/* Can these items be told of? Fails with transfer.bad-manifest where two have one name or the message would be longer than its
 * cap, env.no-memory. */
SH_MUST_USE enum sh_cause sh_manifest_check(struct sh_item *const *items, size_t count,
                                            const uint8_t transfer_id[16]);

#endif
