/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The small files of the state folder: whole, private, and made once. A file is written under another
 * name, synced and then renamed, so a reader sees all of it or none, and of two processes that make the
 * same file at once one wins and both read the winner's.
 */
#ifndef SIMHOP_CRYPTO_KEYFILE_H
#define SIMHOP_CRYPTO_KEYFILE_H

#include "crypto/secret.h"

#define SH_KEYFILE_MAX 4096

/* What a file holds: wiped by sh_keyfile_wipe. */
struct sh_keyfile {
    uint8_t b[SH_KEYFILE_MAX];
    size_t n;
};

void sh_keyfile_wipe(struct sh_keyfile *content);

/* Makes the folder, and what is missing above it, with mode 0700. One that is there stays as it is.
 * Fails with the causes of sh_cause_of_errno. */
SH_MUST_USE enum sh_cause sh_keyfile_folder(const char *folder);

/* *ret_found is false when there is no such file. Fails with env.key-damaged (longer than
 * SH_KEYFILE_MAX, or not a regular file), and the causes of sh_cause_of_errno. */
SH_MUST_USE enum sh_cause sh_keyfile_read(const char *folder, const char *name,
                                          struct sh_keyfile *ret_content, bool *ret_found);

/* Writes the file with mode 0600. With replace false a file that is there already stays, and that is
 * SH_OK: the caller reads it. Fails with the causes of sh_cause_of_errno. */
SH_MUST_USE enum sh_cause sh_keyfile_write(const char *folder, const char *name,
                                           const struct sh_keyfile *content, bool replace);

#endif
