package main

import (
	"debug/buildinfo"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbom writes what is linked into a binary, as the binary itself says, as a
// CycloneDX document. It has neither a serial number nor a time: the same binary
// makes the same bytes.
func sbom(binary, version, file string) {
	info, err := buildinfo.ReadFile(binary)
	check(err)
	component := func(kind cdx.ComponentType, path, version string) cdx.Component {
		purl := "pkg:golang/" + path + "@" + version
		return cdx.Component{Type: kind, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
	}
	main := component(cdx.ComponentTypeApplication, info.Main.Path, version)
	components := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", info.GoVersion)}
	for _, m := range info.Deps {
		components = append(components, component(cdx.ComponentTypeLibrary, m.Path, m.Version))
	}
	var linked []string
	for _, c := range components {
		linked = append(linked, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &linked}}
	f, err := os.Create(file)
	check(err)
	check(cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom))
	check(f.Close())
}
