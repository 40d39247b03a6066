/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bundle: lines with what a second device needs to fetch its own profile instances and use them. On disk
 * and on the wire it is a SignedBundle (proto/simhop.proto): the exact bytes of a Bundle, signed by the anchor's
 * device key with label "simhop1 bundle". A *draft* has no recipient and revision 0; it is what
 * `bundle create` makes and `share --bundle` takes. For each secondary the anchor *issues* it: recipient, revision,
 * times, token and consent are filled in and it is signed anew. A secondary takes only issued ones.
 *
 * Limits (checked both ways): 64 KiB in all, 16 lines, 8 APNs a line, texts as in validate(); enumerations of
 * which a value decides something (relation, acquisition method, IP type, auth) must be known.
 */
#ifndef SIMHOP_PROFILE_BUNDLE_H
#define SIMHOP_PROFILE_BUNDLE_H

#include "crypto/cert.h"
#include "crypto/identity.h"
#include "proto/msg.h"

#define SH_BUNDLE_LINES_MAX 16
#define SH_BUNDLE_APNS_MAX  8
#define SH_BUNDLE_ICON_MAX  1024
#define SH_BUNDLE_SECONDS   (30 * 86400)

/* A bundle as it is used: unpacked and checked. Free with sh_bundle_free. */
struct sh_bundle {
    Simhop__Bundle *bundle;
    uint8_t signer[SH_DEVICE_ID_SIZE];
    bool draft; /* no recipient */
};

/* Is this content within the limits, every field of the right form? Fails with bundle.too-large,
 * bundle.malformed, bundle.unknown-enum, activation.bad-code; the detail names the field
 * ("lines[1].apns[0].name: missing"), counted from 0 as in JSON. */
SH_MUST_USE enum sh_cause sh_bundle_validate(const Simhop__Bundle *bundle);

/* Packs, signs with identity->key and wraps. *ret_bytes is malloc'ed. Validates first. The anchor's id and
 * public key are those of the identity, whatever the bundle says. */
SH_MUST_USE enum sh_cause sh_bundle_seal(const Simhop__Bundle *bundle,
                                         const struct sh_identity *identity, uint8_t **ret_bytes,
                                         size_t *ret_len);

/* Opens a SignedBundle of at most SH_BUNDLE_MAX octets and validates. The signature is checked with
 * signer_key (SubjectPublicKeyInfo, DER), or with the key inside `anchor` if signer_key.n is 0 (that only shows
 * that it is whole, not who made it). Fails with bundle.malformed, bundle.too-large, bundle.bad-signature,
 * bundle.not-ours (signer id is not that of signer_key), and what validate gives. */
SH_MUST_USE enum sh_cause sh_bundle_open(struct sh_bytes bytes, struct sh_bytes signer_key,
                                         struct sh_bundle **ret_bundle);
void sh_bundle_free(struct sh_bundle *bundle);
void sh_bundle_freep(struct sh_bundle **bundle);

/* Wipes and frees an unpacked Bundle that is in no struct sh_bundle (from JSON); NULL is fine. */
void sh_bundle_content_free(Simhop__Bundle *bundle);
void sh_bundle_content_freep(Simhop__Bundle **bundle);

/* What the anchor fills in for one secondary. */
struct sh_bundle_issue {
    uint64_t revision;
    int64_t now;
    const Simhop__Device *anchor;
    const Simhop__Device *recipient;
    const Simhop__DeviceToken *token;     /* NULL: none (reconnect) */
    const Simhop__ConsentRecord *consent; /* NULL: none */
};

/* The draft's content issued for a recipient and sealed: a new id, SH_BUNDLE_SECONDS of life or less if the draft
 * says so. Fails with bundle.expired (the draft's own expiry is over), and what seal gives. */
SH_MUST_USE enum sh_cause sh_bundle_issue(const struct sh_bundle *draft,
                                          const struct sh_bundle_issue *issue,
                                          const struct sh_identity *identity, uint8_t **ret_bytes,
                                          size_t *ret_len);

/* What the secondary checks of an issued bundle beyond open: made for us (device id, and EID where ours is
 * known), newer than last_revision, not expired. Fails with bundle.not-for-us, bundle.stale,
 * bundle.expired. our_eid may be "". */
SH_MUST_USE enum sh_cause sh_bundle_accept(const struct sh_bundle *bundle,
                                           const uint8_t our_id[SH_DEVICE_ID_SIZE],
                                           const char *our_eid, uint64_t last_revision,
                                           int64_t now);

#endif
