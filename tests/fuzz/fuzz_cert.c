/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The secondary's side: any octets as the token that it gets, and as the CA's certificate. */
#include "crypto/cert.h"
#include "fuzz/fuzz.h"

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sh_identity *anchor;
    X509 *cert = NULL;
    sh_autofree uint8_t *der = NULL;
    size_t n = 0;
    uint8_t serial[SH_SERIAL_SIZE], id[SH_DEVICE_ID_SIZE];
    int64_t not_after = 0;
    if (!anchor)
        fuzz_assert(sh_identity_new(NOW, &anchor) == SH_OK);
    enum sh_cause cause = sh_cert_from_der(SH_BYTES(data, size), &cert);
    fuzz_assert(cause == SH_OK || cause == SH_PROTO_MALFORMED);
    if (cause != SH_OK)
        return 0;
    cause = sh_cert_serial(cert, serial);
    fuzz_assert(cause == SH_OK || cause == SH_TLS_BAD_CERTIFICATE);
    cause = sh_cert_not_after(cert, &not_after);
    fuzz_assert(cause == SH_OK || cause == SH_TLS_BAD_CERTIFICATE);
    cause = sh_cert_device_id(cert, id);
    fuzz_assert(cause == SH_OK || cause == SH_TLS_BAD_CERTIFICATE);
    /* No input is signed by this process's CA. */
    EVP_PKEY *key = X509_get0_pubkey(cert);
    fuzz_assert(sh_cert_check_token(cert, anchor->ca_cert, key, NOW) == SH_TLS_BAD_CERTIFICATE);
    cause =
        sh_cert_check_token(cert, cert, key, NOW); /* its own CA is what the sender may choose */
    fuzz_assert(cause == SH_OK || cause == SH_TLS_BAD_CERTIFICATE);
    fuzz_assert(sh_cert_to_der(cert, &der, &n) == SH_OK || n == 0);
    X509_free(cert);
    return 0;
}
