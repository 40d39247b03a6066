/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of the channel (channel.h) that only channel.c uses: the TLS context that its header
 * describes, and what OpenSSL's error queue means.
 */
#ifndef SIMHOP_CRYPTO_CHANNEL_TLS_H
#define SIMHOP_CRYPTO_CHANNEL_TLS_H

#include <openssl/ssl.h>

#include "crypto/channel.h"

/* A context with all settings but the PSK callbacks. Fails with env.crypto, env.no-memory. */
SH_MUST_USE enum sh_cause sh_tls_context(const struct sh_channel_config *config, bool certs,
                                         SSL_CTX **ret_ctx);

/* Has this processor instructions for AES and for GCM's multiplication? (x86: AES-NI and PCLMULQDQ; ARMv8: AES and
 * PMULL; others are taken to have none.) */
SH_MUST_USE bool sh_tls_processor_has_aes(void);

/* The PSK as a session that OpenSSL takes for an external one (RFC 8446 section 4.2.11). */
SH_MUST_USE enum sh_cause sh_tls_psk_session(SSL *ssl, const struct sh_secret *psk,
                                             SSL_SESSION **ret_session);

/* Did both sides agree on ALPN "simhop/1", or "simhop1-direct"? */
SH_MUST_USE bool sh_tls_alpn_is(const SSL *ssl, bool direct);

/* Empties the thread's error queue and says what it means; the detail becomes OpenSSL's reason. */
SH_MUST_USE enum sh_cause sh_tls_cause(const SSL *ssl, bool certs);

#endif
