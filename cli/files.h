/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small files, whole: read with a cap, written by rename.
 */
#ifndef SIMHOP_CLI_FILES_H
#define SIMHOP_CLI_FILES_H

#include "proto/cause.h"

/* The content of a file that may be secret: wiped by sh_content_clear. */
struct sh_content {
    uint8_t *p;
    size_t n, size;
};
void sh_content_clear(struct sh_content *content);

/* "-": standard input. */
bool sh_is_stdin(const char *path);

/* All of the file or, for "-", of stdin; one octet more than max when it is longer. Fails with source.unreadable,
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_read_file(const char *path, size_t max,
                                       struct sh_content *ret_content);
/* The same for a bundle: longer than SH_BUNDLE_MAX is bundle.too-large. */
SH_MUST_USE enum sh_cause sh_read_bundle_file(const char *path, struct sh_content *ret_content);

/* Mode 0600, by a temporary file, fsync and rename; a file that exists is kept unless force. Fails with
 * store.target-exists, store.*, env.permission. */
SH_MUST_USE enum sh_cause sh_write_file(const char *path, struct sh_bytes bytes, bool force);

#endif
