/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verbs: one file each, one row each in main's table.
 */
#ifndef SIMHOP_CLI_VERB_H
#define SIMHOP_CLI_VERB_H

#include "cli/options.h"
#include "cli/output.h"

struct sh_verb {
    const char *name;
    const char *usage;   /* "[options] FILE" */
    const char *summary; /* one line for `simhop --help` */
    const char *text;    /* paragraphs for `simhop VERB --help`, before the options */
    const struct sh_option *options;
    size_t
        values_size; /* of the verb's struct, which starts with struct sh_common; zeroed, numbers -1 */
    /* argv[0..argc-1]: what is left beside options. What it returns is reported and becomes the exit status. A verb
     * that has reported its cause itself returns it all the same, after sh_output_cause. */
    enum sh_cause (*run)(void *values, struct sh_output *out, int argc, char **argv);
};

extern const struct sh_verb sh_verb_share, sh_verb_sync, sh_verb_resume, sh_verb_bundle,
    sh_verb_devices, sh_verb_doctor, sh_verb_proximity, sh_verb_calibrate, sh_verb_report,
    sh_verb_replay;

#endif
