/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Device certificates (RFC 5280 profiles): the anchor is a private CA; in `enrol` the secondary's PKCS #10
 * request (RFC 2986) becomes a client certificate of SH_TOKEN_SECONDS. P-256 and ECDSA-SHA256 only.
 * Certificates are backdated by SH_BACKDATE_SECONDS, since a device whose clock is behind would
 * refuse one issued "now". Subjects are the hexadecimal device id as CN, never a person's or device's name.
 */
#ifndef SIMHOP_CRYPTO_CERT_H
#define SIMHOP_CRYPTO_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/identity.h"

#define SH_TOKEN_SECONDS    (7 * 86400)
#define SH_BACKDATE_SECONDS 7200
#define SH_SERIAL_SIZE      16
#define SH_CSR_MAX          1024
#define SH_CERT_MAX         2048

struct sh_issued {
    X509 *cert;
    uint8_t serial[SH_SERIAL_SIZE]; /* random, top bit clear, first octet not 0 */
    uint8_t device_id[SH_DEVICE_ID_SIZE];
    int64_t not_before, not_after,
        renew_after; /* seconds since 1970; renew_after = 2/3 of the way */
};

/* A self-signed CA certificate (CA:TRUE, pathlen 0, keyCertSign) for 20 years, and the anchor's own
 * serverAuth certificate for 2 years. Fail with env.crypto, env.random, env.no-memory. */
SH_MUST_USE enum sh_cause sh_cert_ca(EVP_PKEY *ca_key, int64_t now, X509 **ret_cert);
SH_MUST_USE enum sh_cause sh_cert_server(EVP_PKEY *ca_key, X509 *ca_cert, EVP_PKEY *key,
                                         int64_t now, X509 **ret_cert);

/* PKCS #10, DER, for the device key, signed with it; *ret_der is malloc'ed. */
SH_MUST_USE enum sh_cause sh_csr_new(EVP_PKEY *key, uint8_t **ret_der, size_t *ret_len);

/* Turns a request into a client certificate (clientAuth). The request's own subject and extensions are
 * ignored; its signature (proof of possession) and key (P-256) are checked.
 * Fails with proto.malformed (not such a request), tls.bad-certificate (wrong key type or signature),
 * env.crypto, env.random. The caller frees with sh_issued_clear. */
SH_MUST_USE enum sh_cause sh_cert_issue(EVP_PKEY *ca_key, X509 *ca_cert, struct sh_bytes csr,
                                        int64_t now, struct sh_issued *ret_issued);
void sh_issued_clear(struct sh_issued *issued);

/* DER in and out; cert_from_der refuses more than SH_CERT_MAX octets and trailing ones
 * (proto.malformed). *ret_der is malloc'ed. */
SH_MUST_USE enum sh_cause sh_cert_to_der(X509 *cert, uint8_t **ret_der, size_t *ret_len);
SH_MUST_USE enum sh_cause sh_cert_from_der(struct sh_bytes der, X509 **ret_cert);

/* The SubjectPublicKeyInfo as it stands in the certificate, which costs much less than to write the key anew; *ret_der is malloc'ed.
 * Fails with tls.bad-certificate (the key cannot be read), env.no-memory. */
SH_MUST_USE enum sh_cause sh_cert_public_key(X509 *cert, uint8_t **ret_der, size_t *ret_len);

/* The serial as SH_SERIAL_SIZE octets, the end of validity, the device id of the key inside.
 * Fail with tls.bad-certificate. */
SH_MUST_USE enum sh_cause sh_cert_serial(X509 *cert, uint8_t out[SH_SERIAL_SIZE]);
SH_MUST_USE enum sh_cause sh_cert_not_after(X509 *cert, int64_t *ret_seconds);
SH_MUST_USE enum sh_cause sh_cert_device_id(X509 *cert, uint8_t out[SH_DEVICE_ID_SIZE]);

/* What a secondary checks of the token it gets: issued by ca for our key, clientAuth, valid at `now`.
 * Fails with tls.bad-certificate. */
SH_MUST_USE enum sh_cause sh_cert_check_token(X509 *cert, X509 *ca, EVP_PKEY *our_key, int64_t now);

#endif
