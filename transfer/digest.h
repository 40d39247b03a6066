/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to this room: the SHA-256 of a whole item, taken while its leaves pass by in order, so
 * that it need not be read again for it. It is what people compare (`sha256sum`); what is verified
 * is the tree.
 */
#ifndef SIMHOP_TRANSFER_DIGEST_H
#define SIMHOP_TRANSFER_DIGEST_H

#include "proto/base.h"
#include "proto/cause.h"

struct sh_digest {
    void *context;   /* NULL: not begun, or ended */
    uint64_t leaves; /* so many are in it */
    bool ended;
    uint8_t value[32]; /* once ended */
};

/* Adds the next leaf. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_digest_add(struct sh_digest *digest, struct sh_bytes data);
/* Fills value; nothing can be added any more. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_digest_end(struct sh_digest *digest);
/* Back to the beginning; frees what it holds. */
void sh_digest_reset(struct sh_digest *digest);

#endif
