/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A NetworkManager keyfile (nm-settings-keyfile(5)) of type gsm for one APN of one line. Bound to the line by
 * gsm.sim-id (the ICCID); never by network-id, which breaks roaming. The connection's uuid is derived
 * (RFC 9562 version 5) from anchor, ICCID and APN, so that a later sync replaces its own file and nobody else's; the
 * anchor's id also stands in [user], where NetworkManager keeps it when a person edits the connection.
 * A file is for the internet: an APN becomes one if "internet" is among its purposes or none is said. The first
 * of a line connects by itself, the others wait for a person.
 */
#ifndef SIMHOP_PROFILE_NM_KEYFILE_H
#define SIMHOP_PROFILE_NM_KEYFILE_H

#include "proto/msg.h"

/* Does this APN become a connection? Not without an ICCID (it would take any SIM), nor for a line that is information
 * only or cannot be had. */
SH_MUST_USE bool sh_nm_is_wanted(const Simhop__ProfileInstance *line, const Simhop__Apn *apn);

/* *ret_text is the file's content, freed with sh_free_secret (text.h). Every value is escaped as GLib key files ask:
 * backslash, line ends, space at either end. Fails with install.refused (the detail names the field), env.crypto,
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_nm_keyfile(const Simhop__Bundle *bundle,
                                        const Simhop__ProfileInstance *line, const Simhop__Apn *apn,
                                        char **ret_text);

/* Is this the text of a keyfile that came from the same anchor for the same line? */
SH_MUST_USE bool sh_nm_is_ours(const char *text, const Simhop__Bundle *bundle,
                               const Simhop__ProfileInstance *line);

/* "simhop-<ICCID>-<n>.nmconnection", n from 1. false if it does not fit. */
SH_MUST_USE bool sh_nm_keyfile_name(const Simhop__ProfileInstance *line, unsigned n, char *out,
                                    size_t out_size);

#endif
