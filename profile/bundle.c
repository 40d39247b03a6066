/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "profile/fields.h"

#define LABEL  "simhop1 bundle"
#define FORMAT 1

#define KEY_MAX 256 /* octets of a SubjectPublicKeyInfo */

static enum sh_cause id_of_key(struct sh_bytes key, uint8_t out[SH_DEVICE_ID_SIZE])
{
    uint8_t hash[32];
    SH_TRY(sh_sha256(&key, 1, hash));
    memcpy(out, hash, SH_DEVICE_ID_SIZE);
    return SH_OK;
}

static ProtobufCBinaryData binary(const uint8_t *p, size_t n)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)p, .len = n};
}

/* Signs the packed bundle and wraps both. */
static enum sh_cause wrap(struct sh_bytes packed, const struct sh_identity *identity,
                          uint8_t **ret_bytes, size_t *ret_len)
{
    sh_autofree uint8_t *signature = NULL;
    size_t signature_len = 0;
    SH_TRY(sh_sign(identity->key, LABEL, packed, &signature, &signature_len));
    Simhop__SignedBundle outer = SIMHOP__SIGNED_BUNDLE__INIT;
    outer.format = FORMAT;
    outer.bundle = binary(packed.p, packed.n);
    outer.signer_key_id = binary(identity->id, sizeof(identity->id));
    outer.signature = binary(signature, signature_len);
    size_t n = simhop__signed_bundle__get_packed_size(&outer);
    if (n > SH_BUNDLE_MAX)
        return sh_fail(SH_BUNDLE_TOO_LARGE, "%zu octets, of at most %d", n, SH_BUNDLE_MAX);
    uint8_t *bytes = malloc(n);
    if (!bytes)
        return SH_ENV_NO_MEMORY;
    simhop__signed_bundle__pack(&outer, bytes);
    *ret_bytes = bytes;
    *ret_len = n;
    return SH_OK;
}

enum sh_cause sh_bundle_seal(const Simhop__Bundle *bundle, const struct sh_identity *identity,
                             uint8_t **ret_bytes, size_t *ret_len)
{
    sh_autofree uint8_t *key = NULL;
    size_t key_len = 0;
    SH_TRY(sh_public_key_der(identity->key, &key, &key_len));
    Simhop__Bundle ours = *bundle;
    Simhop__Device anchor;
    simhop__device__init(&anchor); /* clang finds the INIT macro of a message with texts unclean */
    if (bundle->anchor)
        anchor = *bundle->anchor;
    anchor.id = binary(identity->id, sizeof(identity->id));
    anchor.public_key = binary(key, key_len);
    ours.anchor = &anchor;
    SH_TRY(sh_bundle_validate(&ours));
    size_t n = simhop__bundle__get_packed_size(&ours);
    if (n > SH_BUNDLE_MAX)
        return sh_fail(SH_BUNDLE_TOO_LARGE, "%zu octets, of at most %d", n, SH_BUNDLE_MAX);
    uint8_t *packed = malloc(n);
    if (!packed)
        return SH_ENV_NO_MEMORY;
    simhop__bundle__pack(&ours, packed);
    enum sh_cause cause = wrap(SH_BYTES(packed, n), identity, ret_bytes, ret_len);
    sh_wipe(packed, n);
    free(packed);
    return cause;
}

static enum sh_cause unpack(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes,
                            const char *what, void *ret_message)
{
    enum sh_cause cause = sh_unpack(schema, bytes, SH_BUNDLE_MAX, ret_message);
    if (cause == SH_PROTO_FRAME_TOO_LONG)
        return sh_fail(SH_BUNDLE_TOO_LARGE, "%zu octets, of at most %d", bytes.n, SH_BUNDLE_MAX);
    if (cause == SH_PROTO_MALFORMED)
        return sh_fail(SH_BUNDLE_MALFORMED, "%s: cannot be unpacked", what);
    return cause;
}

/* With a key that we know, the signature is checked before anything inside is looked at. */
static enum sh_cause verify(const Simhop__SignedBundle *outer, struct sh_bytes key)
{
    uint8_t id[SH_DEVICE_ID_SIZE];
    if (key.n == 0 || key.n > KEY_MAX)
        return sh_fail(SH_BUNDLE_MALFORMED, "anchor.public_key: missing or too long");
    SH_TRY(id_of_key(key, id));
    if (memcmp(id, outer->signer_key_id.data, sizeof(id)) != 0)
        return sh_fail(SH_BUNDLE_NOT_OURS, "the signer's id is not that of the key");
    return sh_verify(key, LABEL, SH_BYTES(outer->bundle.data, outer->bundle.len),
                     SH_BYTES(outer->signature.data, outer->signature.len));
}

static enum sh_cause check_wrapping(const Simhop__SignedBundle *outer)
{
    if (outer->format != FORMAT)
        return sh_fail(SH_BUNDLE_MALFORMED, "format %u is not one that this version knows",
                       (unsigned)outer->format);
    if (outer->signer_key_id.len != SH_DEVICE_ID_SIZE)
        return sh_fail(SH_BUNDLE_MALFORMED, "signer_key_id: not 16 octets");
    if (outer->signature.len == 0 || outer->signature.len > 128)
        return sh_fail(SH_BUNDLE_BAD_SIGNATURE, "signature: missing or too long");
    return SH_OK;
}

static enum sh_cause open_inner(const Simhop__SignedBundle *outer, struct sh_bytes signer_key,
                                Simhop__Bundle *bundle)
{
    const Simhop__Device *anchor = bundle->anchor;
    if (!anchor)
        return sh_fail(SH_BUNDLE_MALFORMED, "anchor: missing");
    if (signer_key.n == 0)
        SH_TRY(verify(outer, SH_BYTES(anchor->public_key.data, anchor->public_key.len)));
    if (anchor->id.len != SH_DEVICE_ID_SIZE ||
        memcmp(anchor->id.data, outer->signer_key_id.data, SH_DEVICE_ID_SIZE) != 0)
        return sh_fail(SH_BUNDLE_NOT_OURS, "anchor.id is not that of the signer");
    return sh_bundle_validate(bundle);
}

static void free_outerp(Simhop__SignedBundle **outer)
{
    if (*outer) {
        sh_message_wipe(&(*outer)->base);
        sh_msg_free(&(*outer)->base);
    }
}

enum sh_cause sh_bundle_open(struct sh_bytes bytes, struct sh_bytes signer_key,
                             struct sh_bundle **ret_bundle)
{
    SH_CLEANUP(free_outerp) Simhop__SignedBundle *outer = NULL;
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *opened = NULL;
    SH_TRY(unpack(&simhop__signed_bundle__descriptor, bytes, "signed bundle", &outer));
    SH_TRY(check_wrapping(outer));
    if (signer_key.n)
        SH_TRY(verify(outer, signer_key));
    opened = calloc(1, sizeof(*opened));
    if (!opened)
        return SH_ENV_NO_MEMORY;
    SH_TRY(unpack(&simhop__bundle__descriptor, SH_BYTES(outer->bundle.data, outer->bundle.len),
                  "bundle", &opened->bundle));
    SH_TRY(open_inner(outer, signer_key, opened->bundle));
    memcpy(opened->signer, outer->signer_key_id.data, SH_DEVICE_ID_SIZE);
    opened->draft = opened->bundle->recipient == NULL;
    *ret_bundle = opened;
    opened = NULL;
    return SH_OK;
}

void sh_bundle_free(struct sh_bundle *bundle)
{
    if (bundle)
        sh_bundle_content_free(bundle->bundle);
    free(bundle);
}

void sh_bundle_freep(struct sh_bundle **bundle)
{
    sh_bundle_free(*bundle);
    *bundle = NULL;
}

void sh_bundle_content_free(Simhop__Bundle *bundle)
{
    if (!bundle)
        return;
    sh_message_wipe(&bundle->base);
    sh_msg_free(&bundle->base);
}

void sh_bundle_content_freep(Simhop__Bundle **bundle)
{
    sh_bundle_content_free(*bundle);
    *bundle = NULL;
}

enum sh_cause sh_bundle_issue(const struct sh_bundle *draft, const struct sh_bundle_issue *issue,
                              const struct sh_identity *identity, uint8_t **ret_bytes,
                              size_t *ret_len)
{
    /* Every issue has its own id: what it was made from is nobody's business. */
    uint8_t id[16];
    SH_TRY(sh_random(id, sizeof(id)));
    Simhop__Bundle bundle = *draft->bundle;
    bundle.id = binary(id, sizeof(id));
    bundle.revision = issue->revision;
    bundle.issued = issue->now;
    /* A draft may end earlier than usual, never later. */
    bundle.expiry = issue->now + SH_BUNDLE_SECONDS;
    if (draft->bundle->expiry > 0 && draft->bundle->expiry < bundle.expiry)
        bundle.expiry = draft->bundle->expiry;
    if (bundle.expiry <= issue->now)
        return sh_fail(SH_BUNDLE_EXPIRED, "the draft's own expiry is over");
    bundle.anchor = (Simhop__Device *)(uintptr_t)issue->anchor;
    bundle.recipient = (Simhop__Device *)(uintptr_t)issue->recipient;
    bundle.token = (Simhop__DeviceToken *)(uintptr_t)issue->token;
    bundle.consent = (Simhop__ConsentRecord *)(uintptr_t)issue->consent;
    if (!bundle.recipient)
        return sh_fail(SH_INTERNAL_BUG, "a bundle issued to nobody");
    return sh_bundle_seal(&bundle, identity, ret_bytes, ret_len);
}

enum sh_cause sh_bundle_accept(const struct sh_bundle *bundle,
                               const uint8_t our_id[SH_DEVICE_ID_SIZE], const char *our_eid,
                               uint64_t last_revision, int64_t now)
{
    const Simhop__Device *recipient = bundle->bundle->recipient;
    if (!recipient)
        return sh_fail(SH_BUNDLE_NOT_FOR_US, "a draft, issued to no device");
    if (recipient->id.len != SH_DEVICE_ID_SIZE ||
        memcmp(recipient->id.data, our_id, SH_DEVICE_ID_SIZE) != 0)
        return sh_fail(SH_BUNDLE_NOT_FOR_US, "recipient.id is that of another device");
    if (our_eid[0] && recipient->eid && recipient->eid[0] && strcmp(our_eid, recipient->eid) != 0)
        return sh_fail(SH_BUNDLE_NOT_FOR_US, "recipient.eid is that of another eUICC");
    if (bundle->bundle->revision <= last_revision)
        return sh_fail(SH_BUNDLE_STALE, "revision %llu, and %llu was here before",
                       (unsigned long long)bundle->bundle->revision,
                       (unsigned long long)last_revision);
    if (now >= bundle->bundle->expiry)
        return sh_fail(SH_BUNDLE_EXPIRED, "it ended %lld seconds ago",
                       (long long)(now - bundle->bundle->expiry));
    return SH_OK;
}
