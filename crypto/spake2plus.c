/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/spake2plus.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/spake2plus_test.h"

#define SCALAR     32
#define ITERATIONS 1000 /* the code lives for one run: a costly hash would only load the anchor */

/* What may come next; a run only goes forward. */
enum stage { AWAIT_SHARE, AWAIT_CONFIRM, CONFIRMED, FAILED };

struct sh_spake {
    enum sh_spake_role role;
    enum stage stage;
    EC_GROUP *group;
    BN_CTX *bn;
    BIGNUM *w0, *w1;                                 /* w1 only at the prover */
    EC_POINT *l;                                     /* w1 * P, only at the verifier */
    BIGNUM *scalar;                                  /* x or y */
    struct sh_bytes context, id_prover, id_verifier; /* malloc'ed */
    uint8_t own_share[SH_SPAKE_SHARE];
    uint8_t own_confirm[SH_SPAKE_CONFIRM];
    uint8_t peer_confirm[SH_SPAKE_CONFIRM];
    struct sh_secret key;
};

/* Section 4: nobody knows their discrete logarithms. */
static const uint8_t point_m[SH_SPAKE_SHARE] = {
    0x04, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24,
    0x25, 0x79, 0xf2, 0x99, 0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf,
    0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1, 0x2f, 0x5f, 0xf3, 0x55, 0x16, 0x3e, 0x43,
    0xce, 0x22, 0x4e, 0x0b, 0x0e, 0x65, 0xff, 0x02, 0xac, 0x8e, 0x5c, 0x7b, 0xe0,
    0x94, 0x19, 0xc7, 0x85, 0xe0, 0xca, 0x54, 0x7d, 0x55, 0xa1, 0x2e, 0x2d, 0x20};
static const uint8_t point_n[SH_SPAKE_SHARE] = {
    0x04, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f,
    0x38, 0xc3, 0x77, 0x07, 0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b,
    0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b, 0x49, 0x07, 0xd6, 0x0a, 0xa6, 0xbf, 0xad,
    0xe4, 0x50, 0x08, 0xa6, 0x36, 0x33, 0x7f, 0x51, 0x68, 0xc6, 0x4d, 0x9b, 0xd3,
    0x60, 0x34, 0x80, 0x8c, 0xd5, 0x64, 0x49, 0x0b, 0x1e, 0x65, 0x6e, 0xdb, 0xe7};

static void pointp(EC_POINT **point)
{
    EC_POINT_clear_free(*point);
}
#define autopoint SH_CLEANUP(pointp) EC_POINT

static enum sh_cause copy(struct sh_bytes from, struct sh_bytes *ret_copy)
{
    uint8_t *p = malloc(from.n ? from.n : 1);
    if (!p)
        return SH_ENV_NO_MEMORY;
    if (from.n)
        memcpy(p, from.p, from.n);
    *ret_copy = SH_BYTES(p, from.n);
    return SH_OK;
}

static void free_bytes(struct sh_bytes *bytes)
{
    free((void *)(uintptr_t)bytes->p);
}

void sh_spake_free(struct sh_spake *spake)
{
    if (!spake)
        return;
    BN_clear_free(spake->w0);
    BN_clear_free(spake->w1);
    BN_clear_free(spake->scalar);
    EC_POINT_clear_free(spake->l);
    BN_CTX_free(spake->bn);
    EC_GROUP_free(spake->group);
    free_bytes(&spake->context);
    free_bytes(&spake->id_prover);
    free_bytes(&spake->id_verifier);
    sh_wipe(spake, sizeof(*spake));
    free(spake);
}

void sh_spake_freep(struct sh_spake **spake)
{
    sh_spake_free(*spake);
    *spake = NULL;
}

/* An object without its scalars. */
static enum sh_cause blank(enum sh_spake_role role, struct sh_bytes context,
                           struct sh_bytes id_prover, struct sh_bytes id_verifier,
                           struct sh_spake **ret_spake)
{
    SH_CLEANUP(sh_spake_freep) struct sh_spake *spake = calloc(1, sizeof(*spake));
    if (!spake)
        return SH_ENV_NO_MEMORY;
    spake->role = role;
    spake->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    spake->bn = BN_CTX_secure_new();
    if (!spake->group || !spake->bn)
        return SH_ENV_CRYPTO;
    SH_TRY(copy(context, &spake->context));
    SH_TRY(copy(id_prover, &spake->id_prover));
    SH_TRY(copy(id_verifier, &spake->id_verifier));
    *ret_spake = spake;
    spake = NULL;
    return SH_OK;
}

/* octets mod q as a scalar that OpenSSL treats in constant time. EC_POINT_mul is only that for
 * scalars in [1, q); 0 has a probability of 2^-256 and is refused. */
static enum sh_cause to_scalar(struct sh_spake *spake, struct sh_bytes octets, BIGNUM **ret_scalar)
{
    const BIGNUM *q = EC_GROUP_get0_order(spake->group);
    BIGNUM *scalar = BN_secure_new();
    bool ok = scalar && octets.n <= INT_MAX && BN_bin2bn(octets.p, (int)octets.n, scalar);
    if (ok) {
        BN_set_flags(scalar, BN_FLG_CONSTTIME);
        ok = BN_nnmod(scalar, scalar, q, spake->bn) == 1 && !BN_is_zero(scalar);
    }
    if (!ok) {
        BN_clear_free(scalar);
        return SH_ENV_CRYPTO;
    }
    *ret_scalar = scalar;
    return SH_OK;
}

static enum sh_cause random_scalar(struct sh_spake *spake, BIGNUM **ret_scalar)
{
    const BIGNUM *q = EC_GROUP_get0_order(spake->group);
    BIGNUM *scalar = BN_secure_new();
    if (!scalar)
        return SH_ENV_NO_MEMORY;
    BN_set_flags(scalar, BN_FLG_CONSTTIME);
    do {
        if (BN_priv_rand_range(scalar, q) != 1) {
            BN_clear_free(scalar);
            return SH_ENV_RANDOM;
        }
    } while (BN_is_zero(scalar));
    *ret_scalar = scalar;
    return SH_OK;
}

static EC_POINT *point_of(const struct sh_spake *spake, const uint8_t octets[SH_SPAKE_SHARE])
{
    EC_POINT *point = EC_POINT_new(spake->group);
    if (point && EC_POINT_oct2point(spake->group, point, octets, SH_SPAKE_SHARE, spake->bn) == 1)
        return point;
    EC_POINT_free(point);
    return NULL;
}

/* scalar * point, point NULL being the generator: never both at once, which would not be constant
 * time. */
static EC_POINT *multiply(const struct sh_spake *spake, const EC_POINT *point, const BIGNUM *scalar)
{
    EC_POINT *product = EC_POINT_new(spake->group);
    int ok = 0;
    if (product && point)
        ok = EC_POINT_mul(spake->group, product, NULL, point, scalar, spake->bn);
    else if (product)
        ok = EC_POINT_mul(spake->group, product, scalar, NULL, NULL, spake->bn);
    if (ok == 1)
        return product;
    EC_POINT_clear_free(product);
    return NULL;
}

static bool to_octets(const struct sh_spake *spake, const EC_POINT *point,
                      uint8_t out[SH_SPAKE_SHARE])
{
    return EC_POINT_point2oct(spake->group, point, POINT_CONVERSION_UNCOMPRESSED, out,
                              SH_SPAKE_SHARE, spake->bn) == SH_SPAKE_SHARE;
}

/* w0 * M or w0 * N: what blinds the share of this role. */
static EC_POINT *blind(const struct sh_spake *spake, enum sh_spake_role role)
{
    autopoint *base = point_of(spake, role == SH_SPAKE_PROVER ? point_m : point_n);
    return base ? multiply(spake, base, spake->w0) : NULL;
}

/* With w0 and the scalar in place: this side's share. */
static enum sh_cause make_share(struct sh_spake *spake)
{
    autopoint *share = multiply(spake, NULL, spake->scalar);
    autopoint *blinding = blind(spake, spake->role);
    if (!share || !blinding || EC_POINT_add(spake->group, share, share, blinding, spake->bn) != 1 ||
        !to_octets(spake, share, spake->own_share))
        return SH_ENV_CRYPTO;
    return SH_OK;
}

enum sh_cause sh_spake_new(enum sh_spake_role role, struct sh_bytes code, struct sh_bytes salt,
                           struct sh_bytes context, struct sh_bytes id_prover,
                           struct sh_bytes id_verifier, struct sh_spake **ret_spake)
{
    SH_CLEANUP(sh_spake_freep) struct sh_spake *spake = NULL;
    uint8_t w[2 * SH_SPAKE_W];
    if (code.n > INT_MAX || salt.n > INT_MAX)
        return SH_ENV_CRYPTO;
    SH_TRY(blank(role, context, id_prover, id_verifier, &spake));
    SH_TRY(random_scalar(spake, &spake->scalar));
    if (PKCS5_PBKDF2_HMAC((const char *)code.p, (int)code.n, salt.p, (int)salt.n, ITERATIONS,
                          EVP_sha256(), sizeof(w), w) != 1)
        return SH_ENV_CRYPTO;
    enum sh_cause cause = to_scalar(spake, SH_BYTES(w, SH_SPAKE_W), &spake->w0);
    if (cause == SH_OK)
        cause = to_scalar(spake, SH_BYTES(w + SH_SPAKE_W, SH_SPAKE_W), &spake->w1);
    sh_wipe(w, sizeof(w));
    SH_TRY(cause);
    if (role == SH_SPAKE_VERIFIER) {
        spake->l = multiply(spake, NULL, spake->w1);
        if (!spake->l)
            return SH_ENV_CRYPTO;
        BN_clear_free(spake->w1);
        spake->w1 = NULL;
    }
    SH_TRY(make_share(spake));
    *ret_spake = spake;
    spake = NULL;
    return SH_OK;
}

enum sh_cause sh_spake_new_for_test(enum sh_spake_role role, struct sh_bytes w0,
                                    struct sh_bytes w1_or_l, struct sh_bytes scalar,
                                    struct sh_bytes context, struct sh_bytes id_prover,
                                    struct sh_bytes id_verifier, struct sh_spake **ret_spake)
{
    SH_CLEANUP(sh_spake_freep) struct sh_spake *spake = NULL;
    SH_TRY(blank(role, context, id_prover, id_verifier, &spake));
    SH_TRY(to_scalar(spake, scalar, &spake->scalar));
    SH_TRY(to_scalar(spake, w0, &spake->w0));
    if (role == SH_SPAKE_PROVER) {
        SH_TRY(to_scalar(spake, w1_or_l, &spake->w1));
    } else {
        spake->l = w1_or_l.n == SH_SPAKE_SHARE ? point_of(spake, w1_or_l.p) : NULL;
        if (!spake->l)
            return SH_ENV_CRYPTO;
    }
    SH_TRY(make_share(spake));
    *ret_spake = spake;
    spake = NULL;
    return SH_OK;
}

void sh_spake_share(const struct sh_spake *spake, uint8_t out[SH_SPAKE_SHARE])
{
    memcpy(out, spake->own_share, SH_SPAKE_SHARE);
}

static bool all_zero(struct sh_bytes bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes.n; i++)
        sum |= bytes.p[i];
    return sum == 0;
}

/* The other side's share as a point, checked as section 3.3 asks. The cofactor of P-256 is 1. */
static enum sh_cause read_share(const struct sh_spake *spake, struct sh_bytes share,
                                EC_POINT **ret_point)
{
    /* SEC 1 writes infinity as one octet 00, and EC_POINT_oct2point would take it. */
    if ((share.n == 1 || share.n == SH_SPAKE_SHARE) && all_zero(share))
        return SH_CONFIRM_INFINITY;
    if (share.n != SH_SPAKE_SHARE || share.p[0] != POINT_CONVERSION_UNCOMPRESSED)
        return SH_CONFIRM_BAD_POINT;
    if (memcmp(share.p, spake->own_share, SH_SPAKE_SHARE) == 0)
        return SH_CONFIRM_REFLECTION;
    EC_POINT *point = point_of(spake, share.p); /* checks the curve equation */
    if (!point)
        return SH_CONFIRM_BAD_POINT;
    *ret_point = point;
    return SH_OK;
}

/* Z and V of section 3.3. */
static enum sh_cause agree(const struct sh_spake *spake, EC_POINT *peer, uint8_t z[SH_SPAKE_SHARE],
                           uint8_t v[SH_SPAKE_SHARE])
{
    bool prover = spake->role == SH_SPAKE_PROVER;
    autopoint *blinding = blind(spake, prover ? SH_SPAKE_VERIFIER : SH_SPAKE_PROVER);
    if (!blinding || EC_POINT_invert(spake->group, blinding, spake->bn) != 1 ||
        EC_POINT_add(spake->group, peer, peer, blinding, spake->bn) != 1)
        return SH_ENV_CRYPTO;
    if (EC_POINT_is_at_infinity(spake->group, peer))
        return SH_CONFIRM_INFINITY;
    autopoint *point_z = multiply(spake, peer, spake->scalar);
    autopoint *point_v =
        prover ? multiply(spake, peer, spake->w1) : multiply(spake, spake->l, spake->scalar);
    if (!point_z || !point_v)
        return SH_ENV_CRYPTO;
    if (EC_POINT_is_at_infinity(spake->group, point_z) ||
        EC_POINT_is_at_infinity(spake->group, point_v))
        return SH_CONFIRM_INFINITY;
    return to_octets(spake, point_z, z) && to_octets(spake, point_v, v) ? SH_OK : SH_ENV_CRYPTO;
}

/* K_main = Hash(TT), TT being every field after its length in 8 little-endian octets. */
static enum sh_cause hash_transcript(const struct sh_spake *spake, const uint8_t *share_p,
                                     const uint8_t *share_v, const uint8_t *z, const uint8_t *v,
                                     struct sh_secret *ret_main)
{
    uint8_t w0[SCALAR];
    if (BN_bn2binpad(spake->w0, w0, sizeof(w0)) != SCALAR)
        return SH_ENV_CRYPTO;
    const struct sh_bytes fields[] = {
        spake->context,
        spake->id_prover,
        spake->id_verifier,
        SH_BYTES(point_m, SH_SPAKE_SHARE),
        SH_BYTES(point_n, SH_SPAKE_SHARE),
        SH_BYTES(share_p, SH_SPAKE_SHARE),
        SH_BYTES(share_v, SH_SPAKE_SHARE),
        SH_BYTES(z, SH_SPAKE_SHARE),
        SH_BYTES(v, SH_SPAKE_SHARE),
        SH_BYTES(w0, sizeof(w0)),
    };
    uint8_t lengths[SH_COUNT(fields)][8];
    struct sh_bytes pieces[2 * SH_COUNT(fields)];
    for (size_t i = 0; i < SH_COUNT(fields); i++) {
        for (unsigned k = 0; k < 8; k++)
            lengths[i][k] = (uint8_t)((uint64_t)fields[i].n >> (8 * k));
        pieces[2 * i] = SH_BYTES(lengths[i], 8);
        pieces[2 * i + 1] = fields[i];
    }
    enum sh_cause cause = sh_sha256(pieces, SH_COUNT(pieces), ret_main->b);
    sh_wipe(w0, sizeof(w0));
    return cause;
}

/* The key schedule of section 3.4. */
static enum sh_cause derive(struct sh_spake *spake, const uint8_t *share_p, const uint8_t *share_v,
                            const struct sh_secret *k_main)
{
    bool prover = spake->role == SH_SPAKE_PROVER;
    sh_autowipe struct sh_secret prk = {.b = {0}};
    uint8_t keys[2 * SH_SECRET_SIZE]; /* K_confirmP, K_confirmV */
    SH_TRY(sh_hmac_sha256(SH_BYTES(NULL, 0), SH_BYTES(k_main->b, sizeof(k_main->b)), prk.b));
    SH_TRY(sh_hkdf_expand(&prk, "SharedKey", spake->key.b, sizeof(spake->key.b)));
    SH_TRY(sh_hkdf_expand(&prk, "ConfirmationKeys", keys, sizeof(keys)));
    enum sh_cause cause =
        sh_hmac_sha256(SH_BYTES(keys, SH_SECRET_SIZE), SH_BYTES(share_v, SH_SPAKE_SHARE),
                       prover ? spake->own_confirm : spake->peer_confirm);
    if (cause == SH_OK)
        cause = sh_hmac_sha256(SH_BYTES(keys + SH_SECRET_SIZE, SH_SECRET_SIZE),
                               SH_BYTES(share_p, SH_SPAKE_SHARE),
                               prover ? spake->peer_confirm : spake->own_confirm);
    sh_wipe(keys, sizeof(keys));
    return cause;
}

static enum sh_cause rx_share(struct sh_spake *spake, struct sh_bytes share)
{
    bool prover = spake->role == SH_SPAKE_PROVER;
    autopoint *peer = NULL;
    uint8_t z[SH_SPAKE_SHARE], v[SH_SPAKE_SHARE];
    sh_autowipe struct sh_secret k_main = {.b = {0}};
    if (spake->stage != AWAIT_SHARE)
        return SH_PROTO_WRONG_STATE;
    SH_TRY(read_share(spake, share, &peer));
    SH_TRY(agree(spake, peer, z, v));
    const uint8_t *share_p = prover ? spake->own_share : share.p;
    const uint8_t *share_v = prover ? share.p : spake->own_share;
    enum sh_cause cause = hash_transcript(spake, share_p, share_v, z, v, &k_main);
    if (cause == SH_OK)
        cause = derive(spake, share_p, share_v, &k_main);
    sh_wipe(z, sizeof(z));
    sh_wipe(v, sizeof(v));
    return cause;
}

enum sh_cause sh_spake_rx_share(struct sh_spake *spake, struct sh_bytes share)
{
    enum sh_cause cause = rx_share(spake, share);
    spake->stage = cause == SH_OK ? AWAIT_CONFIRM : FAILED;
    return cause;
}

enum sh_cause sh_spake_confirm(const struct sh_spake *spake, uint8_t out[SH_SPAKE_CONFIRM])
{
    /* The verifier confirms first: a prover answers only who proved to know the code. */
    bool prover = spake->role == SH_SPAKE_PROVER;
    if (spake->stage != CONFIRMED && (prover || spake->stage != AWAIT_CONFIRM))
        return SH_PROTO_WRONG_STATE;
    memcpy(out, spake->own_confirm, SH_SPAKE_CONFIRM);
    return SH_OK;
}

static enum sh_cause check_confirm(const struct sh_spake *spake, struct sh_bytes confirm)
{
    if (spake->stage != AWAIT_CONFIRM)
        return SH_PROTO_WRONG_STATE;
    if (confirm.n != SH_SPAKE_CONFIRM)
        return SH_CONFIRM_WRONG_CODE;
    if (sh_equal(confirm.p, spake->own_confirm, SH_SPAKE_CONFIRM))
        return SH_CONFIRM_REFLECTION;
    if (!sh_equal(confirm.p, spake->peer_confirm, SH_SPAKE_CONFIRM))
        return SH_CONFIRM_WRONG_CODE;
    return SH_OK;
}

enum sh_cause sh_spake_rx_confirm(struct sh_spake *spake, struct sh_bytes confirm)
{
    enum sh_cause cause = check_confirm(spake, confirm);
    spake->stage = cause == SH_OK ? CONFIRMED : FAILED;
    return cause;
}

enum sh_cause sh_spake_key(const struct sh_spake *spake, struct sh_secret *ret_key)
{
    if (spake->stage != CONFIRMED)
        return SH_PROTO_WRONG_STATE;
    *ret_key = spake->key;
    return SH_OK;
}
