/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The anchor's side of an enrolment: any octets as a certificate request. */
#include "crypto/cert.h"
#include "fuzz/fuzz.h"

#define NOW 1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sh_identity *anchor;
    SH_CLEANUP(sh_issued_clear) struct sh_issued issued = {.cert = NULL};
    if (!anchor)
        fuzz_assert(sh_identity_new(NOW, &anchor) == SH_OK);
    enum sh_cause cause =
        sh_cert_issue(anchor->ca_key, anchor->ca_cert, SH_BYTES(data, size), NOW, &issued);
    fuzz_assert(cause == SH_OK || cause == SH_PROTO_MALFORMED || cause == SH_TLS_BAD_CERTIFICATE);
    fuzz_assert((cause == SH_OK) == (issued.cert != NULL));
    if (cause == SH_OK) {
        EVP_PKEY *key = X509_get0_pubkey(issued.cert);
        fuzz_assert(sh_cert_check_token(issued.cert, anchor->ca_cert, key, NOW) == SH_OK);
    }
    return 0;
}
