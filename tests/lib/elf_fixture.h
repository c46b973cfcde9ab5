/* SPDX-License-Identifier: MIT */
#pragma once

/* Small ELF files as the Go linker shapes them, and broken in every way. */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ELF_FIXTURE_SIZE_MAX 4096

struct elf_fixture {
        bool is_32;
        bool has_pclntab;
        bool has_pointers;              /* build information of Go before 1.18 */
        const char *version, *module;   /* NULL version: no build information */
};

struct elf_image {
        unsigned char bytes[ELF_FIXTURE_SIZE_MAX];
        size_t size;
        size_t sections_at;             /* of the header table: names first, then build information */
};

static inline void elf_put(struct elf_image *e, const void *bytes, size_t size)
{
        memcpy(e->bytes + e->size, bytes, size);
        e->size += size;
}

static inline void elf_put_string(struct elf_image *e, const char *text)
{
        size_t length = strlen(text), left = length;

        do {
                unsigned char byte = (unsigned char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
                elf_put(e, &byte, 1);
                left >>= 7;
        } while (left > 0);
        elf_put(e, text, length);
}

static inline void elf_put_section(struct elf_image *e, bool is_32, uint32_t name, uint32_t type,
                                   size_t at, size_t size)
{
        if (is_32) {
                Elf32_Shdr s = { .sh_name = name, .sh_type = type, .sh_offset = (Elf32_Off)at,
                                 .sh_size = (Elf32_Word)size };
                elf_put(e, &s, sizeof s);
        } else {
                Elf64_Shdr s = { .sh_name = name, .sh_type = type, .sh_offset = at, .sh_size = size };
                elf_put(e, &s, sizeof s);
        }
}

/* Lays the file out: header, names, build information, section headers. */
static inline struct elf_image elf_fixture(const struct elf_fixture *f)
{
        static const char names[] = "\0.shstrtab\0.gopclntab\0.go.buildinfo";
        enum { NAME_NAMES = 1, NAME_PCLNTAB = 11, NAME_BUILDINFO = 22 };
        struct elf_image e = { .size = f->is_32 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr) };
        unsigned n_sections = 1u + f->has_pclntab + (f->version != NULL);

        size_t names_at = e.size;
        elf_put(&e, names, sizeof names);
        size_t info_at = e.size;
        if (f->version) {
                unsigned char head[32] = "\xff Go buildinf:";

                head[14] = 8;
                head[15] = f->has_pointers ? 0 : 2;
                elf_put(&e, head, sizeof head);
                elf_put_string(&e, f->version);
                elf_put_string(&e, f->module ? f->module : "");
        }
        size_t info_size = e.size - info_at;

        e.sections_at = e.size;
        elf_put_section(&e, f->is_32, NAME_NAMES, SHT_STRTAB, names_at, sizeof names);
        if (f->version)
                elf_put_section(&e, f->is_32, NAME_BUILDINFO, SHT_PROGBITS, info_at, info_size);
        if (f->has_pclntab)
                elf_put_section(&e, f->is_32, NAME_PCLNTAB, SHT_PROGBITS, 0, 0);

        union {
                Elf32_Ehdr e32;
                Elf64_Ehdr e64;
        } h = { 0 };
        memcpy(h.e64.e_ident, ELFMAG, SELFMAG);
        h.e64.e_ident[EI_CLASS] = f->is_32 ? ELFCLASS32 : ELFCLASS64;
        h.e64.e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
        if (f->is_32) {
                h.e32.e_shoff = (Elf32_Off)e.sections_at;
                h.e32.e_shentsize = sizeof(Elf32_Shdr);
                h.e32.e_shnum = (Elf32_Half)n_sections;
                memcpy(e.bytes, &h.e32, sizeof h.e32);
        } else {
                h.e64.e_shoff = e.sections_at;
                h.e64.e_shentsize = sizeof(Elf64_Shdr);
                h.e64.e_shnum = (Elf64_Half)n_sections;
                memcpy(e.bytes, &h.e64, sizeof h.e64);
        }
        return e;
}
