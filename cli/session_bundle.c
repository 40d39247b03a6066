/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bundle that arrived is looked at where it was received; only one that is the anchor's, for us and newer than the last
 * takes the place of the one that we have.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/session_internal.h"

static enum sh_cause check(struct sh_session *s, const char *path)
{
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    struct sh_device anchor;
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    SH_TRY(sh_registry_get_device(s->config.registry, s->peer.id, SH_DEVICE_IS_ANCHOR, &anchor));
    SH_TRY(sh_read_bundle_file(path, &content));
    SH_TRY(sh_bundle_open(SH_BYTES(content.p, content.n),
                          SH_BYTES(anchor.public_key, anchor.public_key_len), &bundle));
    SH_TRY(sh_bundle_accept(bundle, s->config.identity->id, s->config.eid, anchor.last_revision,
                            sh_session_wall(s)));
    return sh_registry_set_last_revision(s->config.registry, s->peer.id, SH_DEVICE_IS_ANCHOR,
                                         bundle->bundle->revision);
}

/* FOLDER/ANCHOR.bundle; the folder is made if absent. */
static enum sh_cause keep(struct sh_session *s, const char *path, char **ret_path)
{
    const char *folder = s->config.bundle_dir;
    char id[2 * SH_DEVICE_ID_SIZE + 1];
    sh_autofree char *to = NULL;
    sh_hex(s->peer.id, SH_DEVICE_ID_SIZE, id);
    if (asprintf(&to, "%s/%s.bundle", folder, id) < 0) {
        to = NULL;
        return SH_ENV_NO_MEMORY;
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, folder);
    if (rename(path, to) != 0)
        return sh_cause_of_errno(errno, to);
    sh_autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* waits: for the disk; a bundle is small */
    if (dir < 0 || fsync(dir) != 0)
        return sh_cause_of_errno(errno, folder);
    *ret_path = to;
    to = NULL;
    return SH_OK;
}

enum sh_cause sh_session_accept_bundle(struct sh_session *s, const char *path, char **ret_path)
{
    enum sh_cause cause = check(s, path);
    if (cause != SH_OK) {
        unlink(path);
        return cause;
    }
    return keep(s, path, ret_path);
}
