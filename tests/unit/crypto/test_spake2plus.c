/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/spake2plus.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "crypto/spake2plus_test.h"
#include "hex.h"

#define PROVER    SH_SPAKE_PROVER
#define VERIFIER  SH_SPAKE_VERIFIER
#define autospake SH_CLEANUP(sh_spake_freep) struct sh_spake

/* RFC 9383 appendix C, SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256. */
#define V_CONTEXT "SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors"
#define V_W0      "bb8e1bbcf3c48f62c08db243652ae55d3e5586053fca77102994f23ad95491b3"
#define V_W1      "7e945f34d78785b8a3ef44d0df5a1a97d6b3b460409a345ca7830387a74b1dba"
#define V_L                                                                                        \
    "04eb7c9db3d9a9eb1f8adab81b5794c1f13ae3e225efbe91ea487425854c7fc00f00bfedcbd09b2400142d40a14f" \
    "2064ef31dfaa903b91d1faea7093d835966efd"
#define V_X "d1232c8e8693d02368976c174e2088851b8365d0d79a9eee709c6a05a2fad539"
#define V_SHARE_P                                                                                  \
    "04ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1de127727f418b5966afadfdd95" \
    "a6e4591d171056b333dab97a79c7193e341727"
#define V_Y "717a72348a182085109c8d3917d6c43d59b224dc6a7fc4f0483232fa6516d8b3"
#define V_SHARE_V                                                                                  \
    "04c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb5cc1ca7494db39e82ff2f50665" \
    "255d76173e09986ab46742c798a9a68437b048"
#define V_CONFIRM_P "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527"
#define V_CONFIRM_V "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68"
#define V_K_SHARED  "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"
#define V_N                                                                                        \
    "04d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b4907d60aa6bfade45008a636337f" \
    "5168c64d9bd36034808cd564490b1e656edbe7"

static struct sh_bytes text(const char *s)
{
    return SH_BYTES(s, strlen(s));
}

static struct sh_spake *from_vector(enum sh_spake_role role)
{
    bool prover = role == PROVER;
    struct sh_spake *spake = NULL;
    uint8_t w0[32], w1_or_l[65], scalar[32];
    unhex(V_W0, w0, 32);
    unhex(prover ? V_W1 : V_L, w1_or_l, prover ? 32 : 65);
    unhex(prover ? V_X : V_Y, scalar, 32);
    assert_ok(sh_spake_new_for_test(role, SH_BYTES(w0, 32), SH_BYTES(w1_or_l, prover ? 32 : 65),
                                    SH_BYTES(scalar, 32), text(V_CONTEXT), text("client"),
                                    text("server"), &spake));
    return spake;
}

static struct sh_spake *from_code(enum sh_spake_role role, const char *code, const char *context)
{
    struct sh_spake *spake = NULL;
    assert_ok(sh_spake_new(role, text(code), text("salt"), text(context), text("tablet"),
                           text("phone"), &spake));
    return spake;
}

static void test_vector_prover(void **state SH_UNUSED)
{
    autospake *spake = from_vector(PROVER);
    uint8_t share[65], confirm[32];
    struct sh_secret key;
    sh_spake_share(spake, share);
    assert_hex(share, 65, V_SHARE_P);
    unhex(V_SHARE_V, share, 65);
    assert_ok(sh_spake_rx_share(spake, SH_BYTES(share, 65)));
    unhex(V_CONFIRM_V, confirm, 32);
    assert_ok(sh_spake_rx_confirm(spake, SH_BYTES(confirm, 32)));
    assert_ok(sh_spake_confirm(spake, confirm));
    assert_hex(confirm, 32, V_CONFIRM_P);
    assert_ok(sh_spake_key(spake, &key));
    assert_hex(key.b, 32, V_K_SHARED);
}

static void test_vector_verifier(void **state SH_UNUSED)
{
    autospake *spake = from_vector(VERIFIER);
    uint8_t share[65], confirm[32];
    struct sh_secret key;
    sh_spake_share(spake, share);
    assert_hex(share, 65, V_SHARE_V);
    unhex(V_SHARE_P, share, 65);
    assert_ok(sh_spake_rx_share(spake, SH_BYTES(share, 65)));
    assert_ok(sh_spake_confirm(spake, confirm));
    assert_hex(confirm, 32, V_CONFIRM_V);
    unhex(V_CONFIRM_P, confirm, 32);
    assert_ok(sh_spake_rx_confirm(spake, SH_BYTES(confirm, 32)));
    assert_ok(sh_spake_key(spake, &key));
    assert_hex(key.b, 32, V_K_SHARED);
}

/* Both shares and confirmV over; gives what the prover says to confirmV. */
static enum sh_cause run_to_confirm_v(struct sh_spake *prover, struct sh_spake *verifier)
{
    uint8_t share[65], confirm[32];
    sh_spake_share(prover, share);
    assert_ok(sh_spake_rx_share(verifier, SH_BYTES(share, 65)));
    sh_spake_share(verifier, share);
    assert_ok(sh_spake_confirm(verifier, confirm));
    assert_ok(sh_spake_rx_share(prover, SH_BYTES(share, 65)));
    return sh_spake_rx_confirm(prover, SH_BYTES(confirm, 32));
}

static void test_same_code(void **state SH_UNUSED)
{
    autospake *prover = from_code(PROVER, "123456", "greeting");
    autospake *verifier = from_code(VERIFIER, "123456", "greeting");
    uint8_t confirm[32];
    struct sh_secret a, b;
    memset(&a, 1, sizeof(a));
    memset(&b, 2, sizeof(b));
    assert_ok(run_to_confirm_v(prover, verifier));
    assert_ok(sh_spake_confirm(prover, confirm));
    assert_cause(sh_spake_key(verifier, &b), SH_PROTO_WRONG_STATE);
    assert_ok(sh_spake_rx_confirm(verifier, SH_BYTES(confirm, 32)));
    assert_ok(sh_spake_key(prover, &a));
    assert_ok(sh_spake_key(verifier, &b));
    assert_memory_equal(&a, &b, sizeof(a));
}

static void test_runs_differ(void **state SH_UNUSED)
{
    autospake *one = from_code(PROVER, "123456", "greeting");
    autospake *other = from_code(PROVER, "123456", "greeting");
    uint8_t a[65], b[65];
    sh_spake_share(one, a);
    sh_spake_share(other, b);
    assert_memory_not_equal(a, b, 65);
}

/* Whatever the two sides do not share ends as a wrong code, at both. */
static void assert_wrong_code(struct sh_spake *prover, struct sh_spake *verifier)
{
    uint8_t confirm[32];
    struct sh_secret key;
    assert_cause(run_to_confirm_v(prover, verifier), SH_CONFIRM_WRONG_CODE);
    assert_cause(sh_spake_confirm(prover, confirm), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_key(prover, &key), SH_PROTO_WRONG_STATE);
    memset(confirm, 0, sizeof(confirm));
    assert_cause(sh_spake_rx_confirm(verifier, SH_BYTES(confirm, 32)), SH_CONFIRM_WRONG_CODE);
    assert_cause(sh_spake_key(verifier, &key), SH_PROTO_WRONG_STATE);
}

static void test_wrong_code(void **state SH_UNUSED)
{
    autospake *prover = from_code(PROVER, "123457", "greeting");
    autospake *verifier = from_code(VERIFIER, "123456", "greeting");
    assert_wrong_code(prover, verifier);
}

static void test_wrong_context(void **state SH_UNUSED)
{
    autospake *prover = from_code(PROVER, "123456", "greeting");
    autospake *verifier = from_code(VERIFIER, "123456", "greetinh");
    assert_wrong_code(prover, verifier);
}

/* The lengths in TT keep neighbouring fields apart: "tablet"+"phone" is not "tablets"+"hone". */
static void test_wrong_ids(void **state SH_UNUSED)
{
    autospake *prover = NULL;
    autospake *verifier = NULL;
    assert_ok(sh_spake_new(PROVER, text("123456"), text("salt"), text("c"), text("ab"), text("c"),
                           &prover));
    assert_ok(sh_spake_new(VERIFIER, text("123456"), text("salt"), text("c"), text("a"), text("bc"),
                           &verifier));
    assert_wrong_code(prover, verifier);
}

static void test_wrong_salt(void **state SH_UNUSED)
{
    autospake *prover = NULL;
    autospake *verifier = from_code(VERIFIER, "123456", "c");
    assert_ok(sh_spake_new(PROVER, text("123456"), text("salT"), text("c"), text("tablet"),
                           text("phone"), &prover));
    assert_wrong_code(prover, verifier);
}

/* Every bit of the confirmation counts. */
static void test_bent_confirm(void **state SH_UNUSED)
{
    uint8_t share[65], confirm[32];
    unhex(V_SHARE_P, share, 65);
    for (unsigned bit = 0; bit < 256; bit += 5) {
        autospake *spake = from_vector(VERIFIER);
        assert_ok(sh_spake_rx_share(spake, SH_BYTES(share, 65)));
        unhex(V_CONFIRM_P, confirm, 32);
        confirm[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_cause(sh_spake_rx_confirm(spake, SH_BYTES(confirm, 32)), SH_CONFIRM_WRONG_CODE);
        /* the right one comes too late */
        unhex(V_CONFIRM_P, confirm, 32);
        assert_cause(sh_spake_rx_confirm(spake, SH_BYTES(confirm, 32)), SH_PROTO_WRONG_STATE);
    }
}

static void test_confirm_length(void **state SH_UNUSED)
{
    uint8_t share[65], confirm[33] = {0};
    unhex(V_SHARE_P, share, 65);
    unhex(V_CONFIRM_P, confirm, 32);
    static const size_t lengths[] = {0, 1, 31, 33};
    for (size_t i = 0; i < SH_COUNT(lengths); i++) {
        autospake *spake = from_vector(VERIFIER);
        assert_ok(sh_spake_rx_share(spake, SH_BYTES(share, 65)));
        assert_cause(sh_spake_rx_confirm(spake, SH_BYTES(confirm, lengths[i])),
                     SH_CONFIRM_WRONG_CODE);
    }
}

static void assert_share(const uint8_t *share, size_t n, enum sh_cause want)
{
    uint8_t confirm[32];
    static const enum sh_spake_role roles[] = {PROVER, VERIFIER};
    for (size_t i = 0; i < SH_COUNT(roles); i++) {
        autospake *spake = from_code(roles[i], "123456", "greeting");
        assert_cause(sh_spake_rx_share(spake, SH_BYTES(share, n)), want);
        if (want == SH_OK)
            continue;
        /* The run is over: a good share is refused now, and nothing was confirmed. */
        uint8_t good[65];
        unhex(V_SHARE_P, good, 65);
        assert_cause(sh_spake_confirm(spake, confirm), SH_PROTO_WRONG_STATE);
        assert_cause(sh_spake_rx_share(spake, SH_BYTES(good, 65)), SH_PROTO_WRONG_STATE);
    }
}

static void test_bent_points(void **state SH_UNUSED)
{
    uint8_t share[66] = {0}, bent[66] = {0};
    unhex(V_SHARE_P, share, 65);
    assert_share(share, 65, SH_OK);
    assert_share(share, 0, SH_CONFIRM_BAD_POINT);
    assert_share(share, 1, SH_CONFIRM_BAD_POINT);
    assert_share(share, 64, SH_CONFIRM_BAD_POINT);
    assert_share(share, 66, SH_CONFIRM_BAD_POINT);
    for (size_t i = 1; i < 65; i += 9) { /* off the curve */
        memcpy(bent, share, sizeof(bent));
        bent[i] ^= 1;
        assert_share(bent, 65, SH_CONFIRM_BAD_POINT);
    }
    memcpy(bent, share, sizeof(bent)); /* compressed, right in itself */
    bent[0] = (uint8_t)(2 + (share[64] & 1));
    assert_share(bent, 33, SH_CONFIRM_BAD_POINT);
    assert_share(bent, 65, SH_CONFIRM_BAD_POINT);
    bent[0] = (uint8_t)(6 + (share[64] & 1)); /* hybrid, right in itself */
    assert_share(bent, 65, SH_CONFIRM_BAD_POINT);
    memset(bent, 0xff, sizeof(bent)); /* coordinates over the field's size */
    bent[0] = 4;
    assert_share(bent, 65, SH_CONFIRM_BAD_POINT);
    memset(bent, 0, sizeof(bent));
    bent[0] = 4;
    assert_share(bent, 65, SH_CONFIRM_BAD_POINT);
}

static void test_infinity(void **state SH_UNUSED)
{
    const uint8_t zero[65] = {0};
    assert_share(zero, 1, SH_CONFIRM_INFINITY);
    assert_share(zero, 65, SH_CONFIRM_INFINITY);
    assert_share(zero, 64, SH_CONFIRM_BAD_POINT);
}

/* Who knows w0 can send w0 * N, so that the prover's Z has nothing of y in it. */
static void test_infinity_inside(void **state SH_UNUSED)
{
    uint8_t w0_octets[32], n_octets[65], share[65];
    unhex(V_W0, w0_octets, 32);
    unhex(V_N, n_octets, 65);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *w0 = BN_bin2bn(w0_octets, 32, NULL);
    assert_int_equal(EC_POINT_oct2point(group, point, n_octets, 65, NULL), 1);
    assert_int_equal(EC_POINT_mul(group, point, NULL, point, w0, NULL), 1);
    assert_int_equal(
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, share, 65, NULL), 65);
    BN_free(w0);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    autospake *spake = from_vector(PROVER);
    assert_cause(sh_spake_rx_share(spake, SH_BYTES(share, 65)), SH_CONFIRM_INFINITY);
}

static void test_reflection(void **state SH_UNUSED)
{
    uint8_t share[65], confirm[32];
    autospake *prover = from_vector(PROVER);
    sh_spake_share(prover, share);
    assert_cause(sh_spake_rx_share(prover, SH_BYTES(share, 65)), SH_CONFIRM_REFLECTION);

    autospake *verifier = from_vector(VERIFIER);
    assert_ok(sh_spake_rx_share(verifier, SH_BYTES(share, 65)));
    assert_ok(sh_spake_confirm(verifier, confirm));
    assert_cause(sh_spake_rx_confirm(verifier, SH_BYTES(confirm, 32)), SH_CONFIRM_REFLECTION);
    unhex(V_CONFIRM_P, confirm, 32);
    assert_cause(sh_spake_rx_confirm(verifier, SH_BYTES(confirm, 32)), SH_PROTO_WRONG_STATE);
}

static void test_wrong_order(void **state SH_UNUSED)
{
    uint8_t share[65], confirm[32];
    struct sh_secret key;
    unhex(V_SHARE_P, share, 65);
    unhex(V_CONFIRM_P, confirm, 32);

    autospake *early = from_vector(VERIFIER); /* nothing before the share */
    assert_cause(sh_spake_confirm(early, confirm), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_key(early, &key), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_rx_confirm(early, SH_BYTES(confirm, 32)), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_rx_share(early, SH_BYTES(share, 65)), SH_PROTO_WRONG_STATE);

    autospake *twice = from_vector(VERIFIER); /* one share a run */
    assert_ok(sh_spake_rx_share(twice, SH_BYTES(share, 65)));
    assert_cause(sh_spake_rx_share(twice, SH_BYTES(share, 65)), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_rx_confirm(twice, SH_BYTES(confirm, 32)), SH_PROTO_WRONG_STATE);

    autospake *prover = from_vector(PROVER); /* the verifier confirms first */
    unhex(V_SHARE_V, share, 65);
    assert_ok(sh_spake_rx_share(prover, SH_BYTES(share, 65)));
    assert_cause(sh_spake_confirm(prover, confirm), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_key(prover, &key), SH_PROTO_WRONG_STATE);
    unhex(V_CONFIRM_V, confirm, 32);
    assert_ok(sh_spake_rx_confirm(prover, SH_BYTES(confirm, 32)));
    assert_cause(sh_spake_rx_confirm(prover, SH_BYTES(confirm, 32)), SH_PROTO_WRONG_STATE);
    assert_cause(sh_spake_key(prover, &key), SH_PROTO_WRONG_STATE);
}

/* Scalars are taken mod q and never 0. */
static void test_scalar_range(void **state SH_UNUSED)
{
    static const char q[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    uint8_t zero[32] = {0}, order[32], w[32];
    struct sh_spake *spake = NULL;
    unhex(q, order, 32);
    unhex(V_W0, w, 32);
    assert_cause(sh_spake_new_for_test(PROVER, SH_BYTES(zero, 32), SH_BYTES(w, 32), SH_BYTES(w, 32),
                                       text(""), text(""), text(""), &spake),
                 SH_ENV_CRYPTO);
    assert_cause(sh_spake_new_for_test(PROVER, SH_BYTES(w, 32), SH_BYTES(order, 32),
                                       SH_BYTES(w, 32), text(""), text(""), text(""), &spake),
                 SH_ENV_CRYPTO);
    assert_null(spake);
    sh_spake_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_prover),   cmocka_unit_test(test_vector_verifier),
        cmocka_unit_test(test_same_code),       cmocka_unit_test(test_runs_differ),
        cmocka_unit_test(test_wrong_code),      cmocka_unit_test(test_wrong_context),
        cmocka_unit_test(test_wrong_ids),       cmocka_unit_test(test_wrong_salt),
        cmocka_unit_test(test_bent_confirm),    cmocka_unit_test(test_confirm_length),
        cmocka_unit_test(test_bent_points),     cmocka_unit_test(test_infinity),
        cmocka_unit_test(test_infinity_inside), cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_wrong_order),     cmocka_unit_test(test_scalar_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
