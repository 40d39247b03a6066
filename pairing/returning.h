/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who comes back: a secondary that reconnects names itself in its greeting to its anchor alone, so that the anchor measures it with the
 * level that was calibrated for it. The name is made from the greeting's nonce, is another one each time, and means nothing
 * to anybody else:
 *
 *   PRK = HKDF-Extract(salt = device id of the secondary (16) | serial of its token (16), the anchor's resolving key)
 *   key = HKDF-Expand(PRK, "simhop1 secondary", 32)                                        (RFC 5869)
 *   id  = the first 16 octets of HMAC-SHA-256(key, "simhop1 returning" | nonce of the secondary's Hello)
 *
 * The resolving key is known to every linked device and the device id was said in the clear once; the serial, which is random, has
 * only been said inside TLS. It says who somebody claims to be, as the certificates of the channel prove afterwards.
 */
#ifndef SIMHOP_PAIRING_RETURNING_H
#define SIMHOP_PAIRING_RETURNING_H

#include "pairing/registry.h"
#include "pairing/samples.h"

#define SH_RETURNING_ID_SIZE 16

/* The key of one secondary with one anchor. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_returning_key(const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                           const uint8_t device_id[SH_DEVICE_ID_SIZE],
                                           const uint8_t serial[SH_SERIAL_SIZE],
                                           struct sh_secret *ret_key);

/* Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_returning_id(const struct sh_secret *key,
                                          const uint8_t nonce[SH_HELLO_NONCE],
                                          uint8_t out[SH_RETURNING_ID_SIZE]);

/* Anchor: which of these devices it is: a secondary of ours, authorised. NULL: none. resolving_key: ours. */
const struct sh_device *sh_returning_resolve(const struct sh_device *devices, size_t count,
                                             const uint8_t resolving_key[SH_RESOLVING_KEY_SIZE],
                                             const uint8_t nonce[SH_HELLO_NONCE],
                                             const uint8_t id[SH_RETURNING_ID_SIZE]);

#endif
