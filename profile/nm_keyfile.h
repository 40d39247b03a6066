/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A NetworkManager keyfile (nm-settings-keyfile(5)) of type gsm for one APN of one line. Bound to the line by
 * gsm.sim-id (the ICCID); never by network-id, which breaks roaming. The connection's uuid is derived
 * (RFC 9562 version 5) from anchor, ICCID and APN, so that a later sync replaces its own file and nobody else's.
 */
#ifndef SIMHOP_PROFILE_NM_KEYFILE_H
#define SIMHOP_PROFILE_NM_KEYFILE_H

#include "proto/msg.h"

/* *ret_text is the file's content, malloc'ed, to be wiped and freed. Every value is escaped as keyfiles ask
 * (GLib key files: backslash, leading space, newline; semicolons). Fails with install.refused, env.crypto, env.no-memory. */
SH_MUST_USE enum sh_cause sh_nm_keyfile(const Simhop__Bundle *bundle,
                                        const Simhop__ProfileInstance *line, const Simhop__Apn *apn,
                                        char **ret_text);

/* "simhop-<ICCID>-<n>.nmconnection", n from 1. false if it does not fit. */
SH_MUST_USE bool sh_nm_keyfile_name(const Simhop__ProfileInstance *line, unsigned n, char *out,
                                    size_t out_size);

#endif
