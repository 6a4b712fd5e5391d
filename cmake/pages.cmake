# Manual pages and completions, made from the same tables as the parser by the command itself, and installed. A page that is
# written by hand (docs/man) is taken instead; tests/cli/codes.sh holds it against the tables.
# Without scdoc, or when built for another machine, there are none.
find_program(SCDOC scdoc)
if(NOT CMAKE_CROSSCOMPILING)
    set(pages podglass-codes.7)
    file(STRINGS ${CMAKE_SOURCE_DIR}/include/podglass/verbs.def rows REGEX "^PG_VERB\\(")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/podglass/verbs.def)
    foreach(row IN LISTS rows)
        string(REGEX REPLACE "^PG_VERB\\([A-Z_0-9]+, \"([^\"]+)\".*" "podglass-\\1.1" page "${row}")
        list(APPEND pages ${page})
    endforeach()
    set(made "")
    if(SCDOC)
        foreach(page IN LISTS pages)
            set(out ${CMAKE_BINARY_DIR}/man/${page})
            if(EXISTS ${CMAKE_SOURCE_DIR}/docs/man/${page}.scd)
                continue() # written by hand, below
            endif()
            add_custom_command(OUTPUT ${out}
                COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
                COMMAND podglass help --page ${page} > ${out}.scd
                COMMAND ${SCDOC} < ${out}.scd > ${out}
                DEPENDS podglass VERBATIM)
            list(APPEND made ${out})
        endforeach()
        file(GLOB written CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.scd)
        foreach(source IN LISTS written)
            cmake_path(GET source STEM LAST_ONLY page)
            set(out ${CMAKE_BINARY_DIR}/man/${page})
            add_custom_command(OUTPUT ${out}
                COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
                COMMAND ${SCDOC} < ${source} > ${out}
                DEPENDS ${source} VERBATIM)
            list(APPEND made ${out})
        endforeach()
        foreach(file IN LISTS made)
            string(REGEX REPLACE ".*\\." "" section ${file})
            install(FILES ${file} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
        endforeach()
    endif()
    foreach(row IN ITEMS "bash;podglass;bash-completion/completions" "zsh;_podglass;zsh/site-functions"
            "fish;podglass.fish;fish/vendor_completions.d")
        list(GET row 0 shell)
        list(GET row 1 name)
        list(GET row 2 folder)
        set(out ${CMAKE_BINARY_DIR}/completions/${shell}/${name})
        add_custom_command(OUTPUT ${out}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completions/${shell}
            COMMAND podglass completion ${shell} > ${out}
            DEPENDS podglass VERBATIM)
        list(APPEND made ${out})
        install(FILES ${out} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
    endforeach()
    add_custom_target(pages ALL DEPENDS ${made})
endif()
