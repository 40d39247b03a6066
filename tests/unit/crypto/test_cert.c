/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cert.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "hex.h"

#define NOW          1800000000
#define autoidentity SH_CLEANUP(sh_identity_freep) struct sh_identity
#define autoissued   SH_CLEANUP(sh_issued_clear) struct sh_issued

/* The anchor, and a request of the secondary. */
struct pair {
    struct sh_identity *anchor, *secondary;
    uint8_t *csr;
    size_t csr_n;
};

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_ok(sh_identity_new(NOW, &pair->anchor));
    assert_ok(sh_identity_new(NOW, &pair->secondary));
    assert_ok(sh_csr_new(pair->secondary->key, &pair->csr, &pair->csr_n));
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    sh_identity_free(pair->anchor);
    sh_identity_free(pair->secondary);
    free(pair->csr);
    free(pair);
    return 0;
}

static enum sh_cause issue(const struct pair *pair, struct sh_bytes csr, struct sh_issued *ret)
{
    return sh_cert_issue(pair->anchor->ca_key, pair->anchor->ca_cert, csr, NOW, ret);
}

static enum sh_cause check(const struct pair *pair, X509 *cert, int64_t now)
{
    return sh_cert_check_token(cert, pair->anchor->ca_cert, pair->secondary->key, now);
}

static void test_issue(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    uint8_t serial[SH_SERIAL_SIZE], id[SH_DEVICE_ID_SIZE];
    int64_t not_after = 0;
    char subject[64];
    assert_true(pair->csr_n <= SH_CSR_MAX);
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    assert_ok(check(pair, issued.cert, NOW));
    assert_ok(sh_cert_serial(issued.cert, serial));
    assert_memory_equal(serial, issued.serial, SH_SERIAL_SIZE);
    assert_in_range(serial[0], 1, 0x7f);
    assert_ok(sh_cert_not_after(issued.cert, &not_after));
    assert_int_equal(not_after, NOW + 7 * 86400);
    assert_int_equal(issued.not_after, not_after);
    assert_int_equal(issued.not_before, NOW - 7200);
    assert_int_equal(issued.renew_after - issued.not_before, (7 * 86400 + 7200) / 3 * 2);
    assert_ok(sh_cert_device_id(issued.cert, id));
    assert_memory_equal(id, pair->secondary->id, sizeof(id));
    assert_memory_equal(issued.device_id, pair->secondary->id, sizeof(id));
    sh_hex(id, sizeof(id), subject);
    char cn[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(issued.cert), NID_commonName, cn, sizeof(cn));
    assert_string_equal(cn, subject);
    assert_int_equal(X509_get_key_usage(issued.cert), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(issued.cert), XKU_SSL_CLIENT);
    assert_int_equal(X509_check_ca(issued.cert), 0);
}

static void test_serials_differ(void **state)
{
    struct pair *pair = *state;
    autoissued a = {.cert = NULL};
    autoissued b = {.cert = NULL};
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &a));
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &b));
    assert_memory_not_equal(a.serial, b.serial, SH_SERIAL_SIZE);
}

static void test_clocks(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    assert_ok(check(pair, issued.cert, NOW - 60));
    assert_ok(check(pair, issued.cert, NOW - 7200));
    assert_cause(check(pair, issued.cert, NOW - 7201), SH_TLS_BAD_CERTIFICATE);
    assert_ok(check(pair, issued.cert, NOW + 7 * 86400 - 1));
    assert_cause(check(pair, issued.cert, NOW + 7 * 86400 + 1), SH_TLS_BAD_CERTIFICATE);
    assert_non_null(strstr(sh_detail(), "expired"));
}

/* Whatever bit of a request is bent, no certificate comes of it. */
static void test_tampered_csr(void **state)
{
    struct pair *pair = *state;
    unsigned bad_certificate = 0;
    for (size_t i = 0; i < pair->csr_n; i++) {
        struct sh_issued issued = {.cert = NULL};
        pair->csr[i] ^= (uint8_t)(1u << i % 8);
        enum sh_cause cause = issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued);
        assert_true(cause == SH_PROTO_MALFORMED || cause == SH_TLS_BAD_CERTIFICATE);
        assert_null(issued.cert);
        bad_certificate += cause == SH_TLS_BAD_CERTIFICATE;
        pair->csr[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(bad_certificate > 100);
}

static void test_malformed_csr(void **state)
{
    struct pair *pair = *state;
    struct sh_issued issued = {.cert = NULL};
    uint8_t longer[SH_CSR_MAX + 1] = {0};
    memcpy(longer, pair->csr, pair->csr_n);
    for (size_t n = 0; n < pair->csr_n; n++)
        assert_cause(issue(pair, SH_BYTES(longer, n), &issued), SH_PROTO_MALFORMED);
    assert_cause(issue(pair, SH_BYTES(longer, pair->csr_n + 1), &issued), SH_PROTO_MALFORMED);
    assert_cause(issue(pair, SH_BYTES(longer, SH_CSR_MAX + 1), &issued), SH_PROTO_MALFORMED);
    assert_null(issued.cert);
}

static void assert_key_refused(const struct pair *pair, EVP_PKEY *key)
{
    struct sh_issued issued = {.cert = NULL};
    sh_autofree uint8_t *csr = NULL;
    size_t n = 0;
    assert_ok(sh_csr_new(key, &csr, &n));
    assert_cause(issue(pair, SH_BYTES(csr, n), &issued), SH_TLS_BAD_CERTIFICATE);
    assert_null(issued.cert);
    EVP_PKEY_free(key);
}

static void test_other_keys(void **state)
{
    assert_key_refused(*state, EVP_RSA_gen(2048));
    assert_key_refused(*state, EVP_EC_gen("P-384"));
}

/* A request for somebody else's key: the attacker signs it with his own. */
static void test_no_possession(void **state)
{
    struct pair *pair = *state;
    struct sh_issued issued = {.cert = NULL};
    unsigned char *der = NULL;
    X509_REQ *req = X509_REQ_new();
    X509_REQ_set_pubkey(req, pair->secondary->key);
    X509_REQ_sign(req, pair->anchor->key, EVP_sha256());
    int n = i2d_X509_REQ(req, &der);
    assert_cause(issue(pair, SH_BYTES(der, (size_t)n), &issued), SH_TLS_BAD_CERTIFICATE);
    OPENSSL_free(der);
    X509_REQ_free(req);
}

/* What a request asks for beside its key is not granted. */
static void test_extensions_ignored(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    unsigned char *der = NULL;
    X509_REQ *req = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions,
                           X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE"));
    X509_REQ_add_extensions(req, extensions);
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_ASC,
                               (const unsigned char *)"anchor", -1, -1, 0);
    X509_REQ_set_pubkey(req, pair->secondary->key);
    X509_REQ_sign(req, pair->secondary->key, EVP_sha256());
    int n = i2d_X509_REQ(req, &der);
    assert_ok(issue(pair, SH_BYTES(der, (size_t)n), &issued));
    assert_int_equal(X509_check_ca(issued.cert), 0);
    char cn[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(issued.cert), NID_commonName, cn, sizeof(cn));
    assert_string_not_equal(cn, "anchor");
    OPENSSL_free(der);
    X509_REQ_free(req);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void test_check_token(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    autoidentity *stranger = NULL;
    assert_ok(sh_identity_new(NOW, &stranger));
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    /* another CA */
    assert_cause(sh_cert_check_token(issued.cert, stranger->ca_cert, pair->secondary->key, NOW),
                 SH_TLS_BAD_CERTIFICATE);
    /* another key */
    assert_cause(sh_cert_check_token(issued.cert, pair->anchor->ca_cert, stranger->key, NOW),
                 SH_TLS_BAD_CERTIFICATE);
    /* a certificate for servers */
    assert_cause(sh_cert_check_token(pair->anchor->server_cert, pair->anchor->ca_cert,
                                     pair->anchor->key, NOW),
                 SH_TLS_BAD_CERTIFICATE);
    /* the CA's own */
    assert_cause(sh_cert_check_token(pair->anchor->ca_cert, pair->anchor->ca_cert,
                                     pair->anchor->ca_key, NOW),
                 SH_TLS_BAD_CERTIFICATE);
}

/* A certificate of our CA without a word about its use: OpenSSL alone would take it for a client's. */
static void test_check_token_without_usage(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    int at = X509_get_ext_by_NID(issued.cert, NID_ext_key_usage, -1);
    X509_EXTENSION_free(X509_delete_ext(issued.cert, at));
    assert_true(X509_sign(issued.cert, pair->anchor->ca_key, EVP_sha256()) > 0);
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    X509 *again = NULL;
    assert_ok(sh_cert_to_der(issued.cert, &der, &n));
    assert_ok(sh_cert_from_der(SH_BYTES(der, n), &again));
    assert_cause(check(pair, again, NOW), SH_TLS_BAD_CERTIFICATE);
    X509_free(again);
}

static void test_der(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    uint8_t longer[SH_CERT_MAX + 1] = {0};
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    X509 *cert = NULL;
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    assert_ok(sh_cert_to_der(issued.cert, &der, &n));
    assert_ok(sh_cert_from_der(SH_BYTES(der, n), &cert));
    assert_int_equal(X509_cmp(cert, issued.cert), 0);
    X509_free(cert);
    cert = NULL;
    memcpy(longer, der, n);
    assert_cause(sh_cert_from_der(SH_BYTES(longer, n + 1), &cert), SH_PROTO_MALFORMED);
    assert_cause(sh_cert_from_der(SH_BYTES(longer, n - 1), &cert), SH_PROTO_MALFORMED);
    assert_cause(sh_cert_from_der(SH_BYTES(longer, 0), &cert), SH_PROTO_MALFORMED);
    assert_cause(sh_cert_from_der(SH_BYTES(longer, sizeof(longer)), &cert), SH_PROTO_MALFORMED);
    assert_null(cert);
}

static void test_bent_cert(void **state)
{
    struct pair *pair = *state;
    autoissued issued = {.cert = NULL};
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    assert_ok(sh_cert_to_der(issued.cert, &der, &n));
    for (size_t i = 0; i < n; i++) {
        X509 *cert = NULL;
        der[i] ^= (uint8_t)(1u << i % 8);
        if (sh_cert_from_der(SH_BYTES(der, n), &cert) == SH_OK)
            assert_cause(check(pair, cert, NOW), SH_TLS_BAD_CERTIFICATE);
        X509_free(cert);
        der[i] ^= (uint8_t)(1u << i % 8);
    }
}

static void test_serial_shape(void **state)
{
    struct pair *pair = *state;
    uint8_t serial[SH_SERIAL_SIZE];
    ASN1_INTEGER_set(X509_get_serialNumber(pair->anchor->server_cert), 1);
    assert_cause(sh_cert_serial(pair->anchor->server_cert, serial), SH_TLS_BAD_CERTIFICATE);
    autoissued issued = {.cert = NULL};
    assert_ok(issue(pair, SH_BYTES(pair->csr, pair->csr_n), &issued));
    X509_get_serialNumber(issued.cert)->type |= V_ASN1_NEG;
    assert_cause(sh_cert_serial(issued.cert, serial), SH_TLS_BAD_CERTIFICATE);
}

static void test_ca_profile(void **state)
{
    struct pair *pair = *state;
    X509 *ca = pair->anchor->ca_cert;
    X509 *server = pair->anchor->server_cert;
    int64_t not_after = 0;
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_get_pathlen(ca), 0);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN);
    assert_ok(sh_cert_not_after(ca, &not_after)); /* beyond 2050: GeneralizedTime */
    assert_int_equal(not_after, NOW + INT64_C(20) * 365 * 86400);
    assert_int_equal(X509_get_extended_key_usage(server), XKU_SSL_SERVER);
    assert_int_equal(X509_verify(server, pair->anchor->ca_key), 1);
    assert_ok(sh_cert_not_after(server, &not_after));
    assert_int_equal(not_after, NOW + INT64_C(2) * 365 * 86400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH_PAIR(test_issue),         WITH_PAIR(test_serials_differ),
        WITH_PAIR(test_clocks),        WITH_PAIR(test_tampered_csr),
        WITH_PAIR(test_malformed_csr), WITH_PAIR(test_other_keys),
        WITH_PAIR(test_no_possession), WITH_PAIR(test_extensions_ignored),
        WITH_PAIR(test_check_token),   WITH_PAIR(test_check_token_without_usage),
        WITH_PAIR(test_der),           WITH_PAIR(test_bent_cert),
        WITH_PAIR(test_serial_shape),  WITH_PAIR(test_ca_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
