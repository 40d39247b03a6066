/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who a device is: a P-256 key made at the first start and kept in the state folder. The device id is the
 * first 16 octets of the SHA-256 of its SubjectPublicKeyInfo. An anchor also is a small private CA
 * (cert.h): its CA key and certificate, and a server certificate for itself, stand beside.
 *
 * Files, mode 0600, written by rename, in the state folder of mode 0700: device.key, ca.key (PKCS #8 PEM),
 * ca.crt, server.crt (DER), resolving.key (16 octets).
 */
#ifndef SIMHOP_CRYPTO_IDENTITY_H
#define SIMHOP_CRYPTO_IDENTITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/keys.h"
#include "crypto/secret.h"

#define SH_DEVICE_ID_SIZE 16

struct sh_identity {
    EVP_PKEY *key;
    uint8_t id[SH_DEVICE_ID_SIZE];
    uint8_t resolving_key[SH_RESOLVING_KEY_SIZE];
    /* Filled by sh_identity_load_ca, NULL before. */
    EVP_PKEY *ca_key;
    X509 *ca_cert;
    X509 *server_cert; /* serverAuth, for `key`, issued by the CA */
};

/* Loads the identity from the folder, or makes it there (and the folder, 0700) the first time.
 * Fails with env.key-damaged, env.permission, store.read-only, store.no-space, store.io-error, env.random,
 * env.crypto, env.no-memory; the detail names the file. */
SH_MUST_USE enum sh_cause sh_identity_load(const char *folder, struct sh_identity **ret_identity);

/* The same for the CA of an anchor. A server certificate that ends within 30 days of `now` (seconds
 * since 1970) is made anew. */
SH_MUST_USE enum sh_cause sh_identity_load_ca(struct sh_identity *identity, const char *folder,
                                              int64_t now);

/* In memory only, with a CA: for tests. */
SH_MUST_USE enum sh_cause sh_identity_new(int64_t now, struct sh_identity **ret_identity);

void sh_identity_free(struct sh_identity *identity);
void sh_identity_freep(struct sh_identity **identity);

/* The device id of any public key. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_device_id(EVP_PKEY *key, uint8_t out[SH_DEVICE_ID_SIZE]);

/* Is the key on the named curve P-256, its public part in the one usual encoding? NULL is not. */
SH_MUST_USE bool sh_key_is_p256(EVP_PKEY *key);

/* Is this the SubjectPublicKeyInfo, DER, of a key on P-256 in that encoding? */
SH_MUST_USE bool sh_public_key_is_p256(struct sh_bytes der);

/* SubjectPublicKeyInfo, DER, of the identity's key; *ret_der is malloc'ed. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_public_key_der(EVP_PKEY *key, uint8_t **ret_der, size_t *ret_len);

/* ECDSA P-256 with SHA-256 over label | NUL | bytes; the label keeps signatures for one purpose from
 * meaning anything elsewhere. *ret_signature is DER and malloc'ed. Fails with env.crypto, env.no-memory. */
SH_MUST_USE enum sh_cause sh_sign(EVP_PKEY *key, const char *label, struct sh_bytes bytes,
                                  uint8_t **ret_signature, size_t *ret_len);

/* public_key is SubjectPublicKeyInfo, DER, of P-256 and just as sh_public_key_der writes it.
 * Fails with bundle.bad-signature if the signature or the key is not right, env.crypto. */
SH_MUST_USE enum sh_cause sh_verify(struct sh_bytes public_key, const char *label,
                                    struct sh_bytes bytes, struct sh_bytes signature);

#endif
