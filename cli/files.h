/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading small files whole.
 */
#ifndef SIMHOP_CLI_FILES_H
#define SIMHOP_CLI_FILES_H

#include "proto/cause.h"

/* At most SH_BUNDLE_MAX octets; *ret_bytes is malloc'ed, to be wiped and freed. Fails with source.unreadable,
 * bundle.too-large, env.no-memory. */
SH_MUST_USE enum sh_cause sh_read_bundle_file(const char *path, uint8_t **ret_bytes,
                                              size_t *ret_len);

#endif
